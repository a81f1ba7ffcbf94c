/**
 * Applications as graphs of actions over one typed state: stepped, halted, streamed, kept and resumed.
 */
export * as Flow from "./Flow.ts"
export * as FlowStore from "./FlowStore.ts"
