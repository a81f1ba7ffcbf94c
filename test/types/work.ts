/**
 * What the compiler says about the object store and collectives: what is inferred, and what must not compile. `tsc` reports
 * an unused `@ts-expect-error`, so each such line fails the check on the day it begins to compile.
 */
import { Context, Effect, type Option, Schema, type Scope } from "effect"
import { Actor, Collective, ObjectStore } from "effect-otp"

// --- ObjectStore: inferred ---

type Put<A> = Effect.Effect<
  ObjectStore.ObjectRef<A>,
  ObjectStore.StoreFull | ObjectStore.StoreClosed,
  ObjectStore.ObjectStore | Scope.Scope
>
const _floats: Put<Float32Array<SharedArrayBuffer>> = ObjectStore.put(new Float32Array(4))
const _buffer: Put<SharedArrayBuffer> = ObjectStore.put(new ArrayBuffer(4))
const _plain: Put<{ readonly n: number }> = ObjectStore.put({ n: 1 }, { label: "n", bytes: "1 kB" })

declare const floats: ObjectStore.ObjectRef<Float32Array<SharedArrayBuffer>>
const _got: Effect.Effect<
  Float32Array<SharedArrayBuffer>,
  ObjectStore.ObjectUnavailable,
  ObjectStore.ObjectStore
> = ObjectStore.get(floats)
const _wider: ObjectStore.ObjectRef<Float32Array> = floats

const Floats = ObjectStore.Ref(ObjectStore.View(Float32Array))
const _type: ObjectStore.ObjectRef<Float32Array<SharedArrayBuffer>> = Floats.Type

class Painter extends Actor.Service<Painter>()("types/Painter", {
  Paint: { payload: { floats: Floats }, success: Floats }
}) {}
const _paint = Effect.flatMap(Painter, (painter) => painter.ask.Paint({ floats }))
const _painted: Effect.Effect<ObjectStore.ObjectRef<Float32Array<SharedArrayBuffer>>, unknown, Painter> = _paint

// --- ObjectStore: must not compile ---

declare const texts: ObjectStore.ObjectRef<string>
// @ts-expect-error a reference to something else
Effect.flatMap(Painter, (painter) => painter.ask.Paint({ floats: texts }))
// @ts-expect-error the object itself in place of a reference
Effect.flatMap(Painter, (painter) => painter.ask.Paint({ floats: new Float32Array(1) }))
// @ts-expect-error a store has a capacity
ObjectStore.layer({})
// @ts-expect-error not a size
ObjectStore.layer({ capacity: "much" })
// @ts-expect-error no reference
ObjectStore.get({ id: "a/1", bytes: 1 })
class Secret extends Context.Service<Secret, string>()("types/Secret") {}
declare const sealed: Schema.Codec<string, string, Secret, Secret>
// @ts-expect-error references are decoded where no services are
ObjectStore.Ref(sealed)

// --- Collective: inferred ---

class Ring extends Collective.Service<Ring>()("types/Ring", { size: 2 }) {}
const _join: Effect.Effect<Collective.Member, Collective.JoinError, Ring | Scope.Scope> = Ring.join()
declare const member: Collective.Member
const _sum: Effect.Effect<number, Collective.CollectiveError> = member.allReduce(1, Collective.sum)
const _array: Effect.Effect<Float32Array<ArrayBuffer>, Collective.CollectiveError> = member.allReduce(
  new Float32Array(1),
  Collective.elementwise(Collective.max)
)
const _all: Effect.Effect<ReadonlyArray<string>, Collective.CollectiveError> = member.allGather("a")
const _some: Effect.Effect<Option.Option<ReadonlyArray<string>>, Collective.CollectiveError> = member.gather(0, "a")
const _sent: Effect.Effect<Date, Collective.CollectiveError> = member.broadcast(0, () => new Date())
const _part: Effect.Effect<string, Collective.CollectiveError> = member.scatter(0, () => ["a", "b"])

// --- Collective: must not compile ---

// @ts-expect-error texts are no numbers
member.allReduce("a", Collective.sum)
// @ts-expect-error element by element: arrays of numbers only
member.allReduce(["a"], Collective.elementwise(Collective.sum))
// @ts-expect-error made by the root alone, so a function
member.broadcast(0, new Date())
// @ts-expect-error a group has a size
Collective.make("g", {})

export const checked = [
  _floats,
  _buffer,
  _plain,
  _got,
  _wider,
  _type,
  _painted,
  _join,
  _sum,
  _array,
  _all,
  _some,
  _sent,
  _part
]
