/**
 * The state of a flow, and the makers of what is said in terms of it: actions and transitions know its keys, so a key that it
 * does not have is a mistake where it is written.
 */
import type * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { Simplify } from "effect/Types"
import type { Action, Fields, StreamingAction, Transition, Values } from "./declaration.ts"
import type { Done } from "./done.ts"

/** The keys that any of several records has, and that are not among these. */
type Other<A, Keys> = Exclude<A extends unknown ? keyof A : never, Keys>

/** Refuses what is written besides what is declared, in whichever way an action ends. */
type Declared<Made, Keys, Undeclared extends PropertyKey = Other<Effect.Success<Made>, Keys>> = [Undeclared] extends [
  never
]
  ? unknown
  : Effect.Effect<{ readonly [Key in Undeclared]: never }>

/** The same for the ends of a stream. */
type Ending<Out, Keys, Undeclared extends PropertyKey = Other<Extract<Out, Done<unknown>>["written"], Keys>> = [
  Undeclared
] extends [never]
  ? unknown
  : Done<{ readonly [Key in Undeclared]: never }>

/** An action that writes nothing may also return nothing. */
type Nothing<Writes> = [Writes] extends [never] ? void : never

type Key<F> = keyof F & string
/** While it is not known yet which inputs there are, there are none. */
type Given<F extends Fields, Reads extends keyof F, In extends Fields> = Simplify<
  Values<F, Reads> & ([In] extends [never] ? {} : Values<In>)
>

/**
 * What an action declares.
 *
 * @category models
 * @since 0.1.0
 */
export interface ActionOptions<Reads, Writes, In, Tags, Err> {
  /** The keys of the state it is given; no other travels to it. Default: none. */
  readonly reads?: ReadonlyArray<Reads>
  /** The keys it writes, all of them each time. Default: none. */
  readonly writes?: ReadonlyArray<Writes>
  /** What the caller gives it, besides the state. Default: nothing. */
  readonly inputs?: In
  /** By what `Flow.on` and hooks tell it from others. Default: none. */
  readonly tags?: ReadonlyArray<Tags>
  /** The error that it keeps where it runs outside the process. Any other is a crash there. Default: none. */
  readonly error?: Err
}

/**
 * The state of a flow: its keys, each with a schema. It makes the actions and transitions of flows over it.
 *
 * @category models
 * @since 0.1.0
 */
export interface State<out F extends Fields> {
  readonly id: string
  readonly fields: F
  /**
   * A node of a flow. `run` takes the keys it reads and its inputs in one record, and gives the keys it writes: all of them,
   * and no other.
   *
   * **Example** (Counting)
   *
   * ```ts import.meta.vitest
   * import { Effect, Schema } from "effect"
   * import { Flow } from "effect-otp/flow"
   *
   * const Count = Flow.state("docs/Counting", { count: Schema.Int })
   * const add = Count.action("add", {
   *   reads: ["count"],
   *   inputs: { by: Schema.Int },
   *   writes: ["count"],
   *   run: ({ by, count }) => Effect.succeed({ count: count + by })
   * })
   * await Effect.runPromise(add.run({ count: 1, by: 2 })) // => { count: 3 }
   * ```
   */
  action<
    const Name extends string,
    Made extends Effect.Effect<Values<F, Writes> | Nothing<Writes>, unknown, unknown>,
    const Reads extends Key<F> = never,
    const Writes extends Key<F> = never,
    const In extends Fields = {},
    const Tags extends string = never,
    Err extends Schema.Codec<unknown, unknown> = typeof Schema.Never
  >(
    name: Name,
    options: ActionOptions<Reads, Writes, In, Tags, Err> & {
      readonly run: (read: Given<F, Reads, In>) => Made & Declared<Made, Writes>
    }
  ): Action<
    Name,
    {
      readonly state: F
      readonly reads: Reads
      readonly writes: Writes
      readonly inputs: In
      readonly tags: Tags
      readonly item: typeof Schema.Never
      readonly error: Err
    },
    Effect.Error<Made>,
    Effect.Services<Made>
  >
  /**
   * A node that gives items on the way, seen by `session.stream`, and ends with what it writes: a stream that ends with
   * `Flow.done`, as `Flow.ending` makes of one.
   */
  streaming<
    const Name extends string,
    Item extends Schema.Codec<unknown, unknown>,
    Out extends Item["Type"] | Done<Values<F, Writes>>,
    E,
    R,
    const Reads extends Key<F> = never,
    const Writes extends Key<F> = never,
    const In extends Fields = {},
    const Tags extends string = never,
    Err extends Schema.Codec<unknown, unknown> = typeof Schema.Never
  >(
    name: Name,
    options: ActionOptions<Reads, Writes, In, Tags, Err> & {
      readonly item: Item
      readonly run: (read: Given<F, Reads, In>) => Stream.Stream<Out & Ending<Out, Writes>, E, R>
    }
  ): StreamingAction<
    Name,
    {
      readonly state: F
      readonly reads: Reads
      readonly writes: Writes
      readonly inputs: In
      readonly tags: Tags
      readonly item: Item
      readonly error: Err
    },
    E,
    R
  >
  /**
   * A way from one action, or each of several, to another. The conditions of an action are asked in the order in which they
   * stand; the first that holds is taken. One without a condition always is. Where none holds the flow ends.
   *
   * `when` is given the keys of `reads`. `label` is what stands at its arrow; default: the keys it reads.
   */
  to<const From extends string, const To extends string, const Reads extends Key<F> = never>(
    from: From | ReadonlyArray<From>,
    to: To,
    condition?: {
      readonly reads: ReadonlyArray<Reads>
      readonly when: (read: Values<F, Reads>) => boolean
      readonly label?: string
    }
  ): Transition<From | To>
}

type AnyOptions = ActionOptions<string, string, Fields, string, Schema.Codec<unknown, unknown>>

interface Condition {
  readonly reads?: ReadonlyArray<string>
  readonly when: (read: never) => boolean
  readonly label?: string
}

/** What is common to both kinds, with defaults filled in. What stands in the wrong place is found by `Flow.make`. */
const declared = (name: string, state: object, { error, inputs, reads, tags, writes }: AnyOptions) => ({
  name,
  reads: reads ?? [],
  writes: writes ?? [],
  inputs: inputs ?? {},
  tags: tags ?? [],
  error,
  "~state": state
})

/**
 * The state of flows: keys, each with a schema. `id` names it in errors.
 *
 * **Example** (A chat)
 *
 * ```ts import.meta.vitest
 * import { Schema } from "effect"
 * import { Flow } from "effect-otp/flow"
 *
 * const Chat = Flow.state("docs/Chat", { prompt: Schema.String, mode: Schema.Literals(["text", "image"]) })
 * Object.keys(Chat.fields) // => ["prompt", "mode"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const state = <const F extends Fields>(id: string, fields: F): State<F> => {
  const self = {
    id,
    fields,
    action: (name: string, options: AnyOptions & { readonly run: unknown }) => ({
      ...declared(name, self, options),
      kind: "action",
      item: undefined,
      run: options.run
    }),
    streaming: (name: string, options: AnyOptions & { readonly run: unknown; readonly item: unknown }) => ({
      ...declared(name, self, options),
      kind: "streaming",
      item: options.item,
      run: options.run
    }),
    to: (from: string | ReadonlyArray<string>, to: string, condition?: Condition) => ({
      from: typeof from === "string" ? [from] : from,
      to,
      reads: condition?.reads ?? [],
      label: condition?.label ?? condition?.reads?.join(", "),
      when: condition?.when,
      "~state": self
    })
  }
  return self as unknown as State<F>
}
