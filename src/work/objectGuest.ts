/**
 * A thread's way to the store of its process: the same store, asked through a port.
 *
 * 1. The thread holds each object once, however many users it has here: asked for by the first, given back by the last.
 * 2. When the port closes, whoever waits or asks afterwards is told so.
 * 3. A thread lives on for the sake of an answer, and no longer.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type { MessagePort } from "node:worker_threads"
import { Foreign, Freed, ObjectUnavailable, StoreClosed, StoreFull } from "./objectErrors.ts"
import { type Answer, decodeFailure, type Request } from "./objectMessages.ts"
import { encodeValue, type Handle, makeRef, read, type Source, type Store, unavailable } from "./objectRef.ts"
import { isBinary, measure, share, type Shared, shareBytes, viewOf } from "./sharedMemory.ts"

type Failure = StoreFull | StoreClosed | ObjectUnavailable

/** An object that this thread holds, or has asked for. */
interface Loan extends Source {
  object: number
  readonly bytes: number
  users: number
  readonly found: Deferred.Deferred<void, Failure>
}

/** The number of an object that the store has not numbered yet. */
const NOT_PLACED = 0

const makeLoan = (object: number, bytes: number): Loan => ({
  object,
  bytes,
  users: 1,
  found: Deferred.makeUnsafe(),
  value: undefined,
  shared: undefined
})

/** Why there is no other answer. */
const failureOf = (answer: Answer | StoreClosed): Failure =>
  answer._tag === "Refused" ? decodeFailure(answer.failure) : new StoreClosed({})

const unavailableBy = (handle: Handle, failure: Failure): ObjectUnavailable =>
  failure._tag === "ObjectUnavailable" ? failure : unavailable(handle, new StoreClosed({}))

/** Waits until the store has said who it is. */
export const connect = (port: MessagePort): Effect.Effect<Guest, StoreClosed, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Guest, StoreClosed>((resume) => {
      const guest = new Guest(port, (exit) => resume(exit))
      return Effect.sync(() => guest.close())
    }),
    (guest) => Effect.sync(() => guest.close()),
    { interruptible: true }
  )

export class Guest implements Store {
  id = ""
  threshold = 0
  private readonly port: MessagePort
  private readonly loans = new Map<number, Loan>()
  private readonly waiting = new Map<number, (answer: Answer | StoreClosed) => void>()
  private last = 0
  private isClosed = false

  constructor(port: MessagePort, onOpen: (exit: Exit.Exit<Guest, StoreClosed>) => void) {
    this.port = port
    port.on("message", (answer: Answer) => {
      if (answer._tag === "Welcome") {
        this.id = answer.store
        this.threshold = answer.threshold
        port.unref()
        onOpen(Exit.succeed(this))
      } else this.settle(answer.request, answer)
    })
    port.on("close", () => {
      this.closed()
      onOpen(Exit.fail(new StoreClosed({})))
    })
  }

  close(): void {
    this.port.close()
    this.closed()
  }

  readonly put: Store["put"] = (value, bytes, label) =>
    Effect.map(
      this.owned<StoreFull | StoreClosed>(Effect.suspend(() => this.place(value, bytes, label))),
      ({ bytes, object }) => makeRef({ store: this.id, object, bytes, home: this })
    )

  readonly get: Store["get"] = (handle) =>
    Effect.acquireUseRelease(
      this.borrow(handle, undefined),
      (loan) => this.valueOf(loan, handle),
      (loan) => Effect.sync(() => this.release(loan))
    )

  readonly hold: Store["hold"] = (handle) =>
    Effect.asVoid(this.owned<ObjectUnavailable>(this.borrow(handle, handle.sent)))

  readonly handOver: Store["handOver"] = (handle, millis) =>
    Effect.andThen(
      this.own(handle),
      Effect.mapBoth(this.ask({ _tag: "HandOver", object: handle.object, millis }), {
        onFailure: (failure) => unavailableBy(handle, failure),
        onSuccess: (answer) => {
          const source = this.loans.get(handle.object) ?? handle.source
          const { sent } = answer as Extract<Answer, { _tag: "Sent" }>
          return makeRef({ ...handle, sent, ...(source === undefined ? {} : { source }) })
        }
      })
    )

  readonly arrive: Store["arrive"] = ({ object, sent, store }) => {
    if (store === this.id && sent !== undefined) this.tell({ _tag: "Arrive", object, sent })
  }

  readonly statistics: Store["statistics"] = Effect.flatMap(
    Effect.suspend(() => this.ask({ _tag: "Statistics" })),
    (answer) =>
      answer._tag === "Statistics" ? Effect.succeed(answer.statistics) : Effect.die(`answered ${answer._tag}`)
  ) as Store["statistics"]

  readonly publish: Store["publish"] = (handle, schema) =>
    Effect.suspend((): Effect.Effect<Shared, unknown> => {
      const loan = this.loans.get(handle.object) ?? handle.source
      if (this.isClosed) return Effect.fail(unavailable(handle, new StoreClosed({})))
      if (loan === undefined) return Effect.fail(unavailable(handle, new Freed({})))
      if (loan.shared !== undefined) return Effect.succeed(loan.shared)
      if (loan.value === undefined) return Effect.fail(unavailable(handle, new Freed({})))
      return Effect.flatMap(encodeValue(schema, loan.value.it), (bytes) => {
        const shared = shareBytes("encoded", bytes)
        if (shared.bytes < this.threshold) return Effect.succeed(shared)
        return Effect.map(this.ask({ _tag: "Attach", object: handle.object, shared }), () => (loan.shared = shared))
      })
    })

  /** A loan that is the Scope's once it has come; given back at once by who does not wait for it. */
  private owned<E extends Failure>(loan: Effect.Effect<Loan, E>): Effect.Effect<Loan, E, Scope.Scope> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(loan, (loan) => {
        const release = Effect.sync(() => this.release(loan))
        const found = Deferred.await(loan.found) as Effect.Effect<void, E>
        const owned = Effect.as(
          Effect.addFinalizer(() => release),
          loan
        )
        return Effect.andThen(
          Effect.onError(restore(found), () => release),
          owned
        )
      })
    )
  }

  private place(
    value: unknown,
    bytes: number | undefined,
    label: string | undefined
  ): Effect.Effect<Loan, StoreFull | StoreClosed> {
    const binary = isBinary(value) ? value : undefined
    const size = bytes ?? (binary === undefined ? measure(value) : binary.byteLength)
    const shared = binary === undefined ? Effect.undefined : this.allocate(size, () => share(binary))
    return Effect.map(shared, (shared) => {
      const loan = makeLoan(NOT_PLACED, size)
      loan.value = { it: shared === undefined ? value : viewOf(shared) }
      loan.shared = shared
      this.send({ _tag: "Put", bytes: size, label, shared }, (answer) => this.placed(loan, answer))
      return loan
    })
  }

  private placed(loan: Loan, answer: Answer | StoreClosed): void {
    if (answer._tag !== "Placed") return void Deferred.doneUnsafe(loan.found, Exit.fail(failureOf(answer)))
    loan.object = answer.object
    if (loan.users === 0) return this.tell({ _tag: "Release", object: answer.object })
    this.loans.set(answer.object, loan)
    Deferred.doneUnsafe(loan.found, Exit.void)
  }

  /** Memory is this thread's to allocate; only when there is none the store is asked how full it is. */
  private allocate(bytes: number, make: () => Shared): Effect.Effect<Shared, StoreFull | StoreClosed> {
    return Effect.try({ try: make, catch: () => undefined }).pipe(
      Effect.catch(() =>
        Effect.flatMap(this.statistics, ({ bytes: used, capacity, objects }) =>
          Effect.fail(new StoreFull({ bytes, capacity, used, objects: objects.length, reason: "memory" }))
        )
      )
    )
  }

  private own(handle: Handle): Effect.Effect<void, ObjectUnavailable> {
    return Effect.suspend(() =>
      handle.store === this.id ? Effect.void : Effect.fail(unavailable(handle, new Foreign({ store: this.id })))
    )
  }

  /** One user more of an object, which may be on its way yet; `sent`: who takes over that hand-over. */
  private borrow(handle: Handle, sent: number | undefined): Effect.Effect<Loan, ObjectUnavailable> {
    return Effect.andThen(
      this.own(handle),
      Effect.sync(() => {
        const known = this.loans.get(handle.object)
        if (known !== undefined) {
          known.users++
          if (sent !== undefined) this.arrive(handle)
          return known
        }
        const loan = makeLoan(handle.object, handle.bytes)
        loan.value = handle.source?.value
        this.loans.set(loan.object, loan)
        this.send({ _tag: "Hold", object: loan.object, sent }, (answer) => this.lent(loan, handle, answer))
        return loan
      })
    )
  }

  private lent(loan: Loan, handle: Handle, answer: Answer | StoreClosed): void {
    if (answer._tag === "Held") {
      loan.shared = answer.shared
      return void Deferred.doneUnsafe(loan.found, Exit.void)
    }
    if (this.loans.get(loan.object) === loan) this.loans.delete(loan.object)
    Deferred.doneUnsafe(loan.found, Exit.fail(unavailableBy(handle, failureOf(answer))))
  }

  private release(loan: Loan): void {
    loan.users--
    if (loan.users > 0 || this.loans.get(loan.object) !== loan) return
    this.loans.delete(loan.object)
    this.tell({ _tag: "Release", object: loan.object })
  }

  private valueOf(loan: Loan, handle: Handle): Effect.Effect<unknown, ObjectUnavailable> {
    const found = Effect.mapError(Deferred.await(loan.found), (failure) => unavailableBy(handle, failure))
    return Effect.flatMap(found, () => {
      if (this.isClosed) return Effect.fail(unavailable(handle, new StoreClosed({})))
      return Effect.mapError(read(loan, handle.schema), (reason) => unavailable(handle, reason))
    })
  }

  private ask(request: Request): Effect.Effect<Answer, Failure> {
    return Effect.callback((resume) => {
      this.send(request, (answer) => {
        const isFailure = answer._tag === "Refused" || answer._tag === "StoreClosed"
        resume(isFailure ? Effect.fail(failureOf(answer)) : Effect.succeed(answer))
      })
    })
  }

  private send(request: Request, onAnswer: (answer: Answer | StoreClosed) => void): void {
    if (this.isClosed) return onAnswer(new StoreClosed({}))
    const number = ++this.last
    this.waiting.set(number, onAnswer)
    this.port.ref()
    this.port.postMessage({ ...request, request: number })
  }

  private tell(request: Request): void {
    if (!this.isClosed) this.port.postMessage({ ...request, request: 0 })
  }

  private settle(number: number, answer: Answer): void {
    const onAnswer = this.waiting.get(number)
    this.waiting.delete(number)
    if (this.waiting.size === 0) this.port.unref()
    onAnswer?.(answer)
  }

  private closed(): void {
    if (this.isClosed) return
    this.isClosed = true
    const waiting = [...this.waiting.values()]
    this.waiting.clear()
    for (const onAnswer of waiting) onAnswer(new StoreClosed({}))
    this.loans.clear()
  }
}
