/**
 * OTP for Effect: typed actors, supervision trees as data, names.
 */
export * as Actor from "./actor/Actor.ts"
export * as ActorContext from "./actor/ActorContext.ts"
export * as ActorRef from "./actor/ActorRef.ts"
export * as ActorSystem from "./actor/ActorSystem.ts"
export * as Behavior from "./actor/Behavior.ts"
export * as Link from "./actor/Link.ts"
export * as Protocol from "./actor/Protocol.ts"
export * as DeadLetters from "./runtime/DeadLetters.ts"
export * as ExitReason from "./runtime/ExitReason.ts"
export * as SystemEvent from "./runtime/SystemEvent.ts"
export * as Backoff from "./supervision/Backoff.ts"
export * as ChildSpec from "./supervision/ChildSpec.ts"
export * as DynamicSupervisor from "./supervision/DynamicSupervisor.ts"
export * as Supervisor from "./supervision/Supervisor.ts"
export * as Group from "./registry/Group.ts"
export * as Registry from "./registry/Registry.ts"
