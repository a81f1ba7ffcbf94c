/**
 * The store of a process: its table of objects, and one port for each thread that uses them.
 *
 * 1. A thread counts as one reference for each object that it holds, and gives all back when its port closes, which it does
 *    however the thread ends.
 * 2. Requests of a thread are done in the order in which they come, so what is released was held before.
 * 3. A closed store holds nothing, and all that is asked of it fails.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { MessagePort } from "node:worker_threads"
import { Foreign, Freed, ObjectUnavailable, StoreClosed, StoreFull } from "./objectErrors.ts"
import { type Answer, encodeFailure, type Numbered, type Request, type Statistics } from "./objectMessages.ts"
import {
  encodeValue,
  type Handle,
  idOf,
  makeRef,
  type ObjectSchema,
  read,
  type Store,
  unavailable
} from "./objectRef.ts"
import { type Entry, ObjectTable, type Put } from "./objectTable.ts"
import { isBinary, measure, share, type Shared, shareBytes, viewOf } from "./sharedMemory.ts"

type Failure = StoreFull | StoreClosed | ObjectUnavailable

export class Home implements Store {
  readonly id: string
  readonly threshold: number
  private readonly table: ObjectTable
  private readonly clock: Clock.Clock
  private readonly context: Context.Context<never>
  private readonly connections = new Set<Connection>()
  private isClosed = false

  constructor(id: string, capacity: number, threshold: number, context: Context.Context<never>) {
    this.id = id
    this.threshold = threshold
    this.table = new ObjectTable(capacity)
    this.clock = Context.get(context, Clock.Clock)
    this.context = context
  }

  close(): void {
    this.isClosed = true
    for (const connection of [...this.connections]) connection.close()
    this.table.clear()
  }

  readonly put: Store["put"] = (value, bytes, label) =>
    Effect.map(this.owned(Effect.suspend(() => this.place(value, bytes, label))), (entry) =>
      makeRef({ store: this.id, object: entry.object, bytes: entry.bytes, home: this })
    )

  readonly get: Store["get"] = (handle) =>
    Effect.flatMap(this.find(handle), (entry) =>
      Effect.mapError(read(entry, handle.schema), (reason) => unavailable(handle, reason))
    )

  readonly hold: Store["hold"] = (handle) =>
    Effect.asVoid(
      this.owned(Effect.tap(this.find(handle), (entry) => Effect.sync(() => this.table.hold(entry, handle.sent))))
    )

  readonly handOver: Store["handOver"] = (handle, millis) =>
    Effect.map(this.find(handle), (entry) => makeRef({ ...handle, sent: this.send(entry, millis) }))

  readonly arrive: Store["arrive"] = ({ object, sent, store }) => {
    const entry = store === this.id ? this.table.get(object) : undefined
    if (entry !== undefined && sent !== undefined) this.table.arrive(entry, sent)
  }

  readonly statistics: Store["statistics"] = Effect.sync(() => this.report())

  readonly publish: Store["publish"] = (handle, schema) =>
    Effect.flatMap(this.find(handle), (entry) =>
      entry.shared !== undefined ? Effect.succeed(entry.shared) : this.encode(handle, entry, schema)
    )

  /** A port for a thread; closing the Scope takes back what the thread holds. */
  readonly port: Effect.Effect<MessagePort, StoreClosed, Scope.Scope> = Effect.map(
    Effect.acquireRelease(
      Effect.suspend(() => {
        if (this.isClosed) return Effect.fail(new StoreClosed({}))
        return Effect.sync(() => new Connection(this, this.connections))
      }),
      (connection) => Effect.sync(() => connection.close())
    ),
    (connection) => connection.theirs
  )

  /** What a thread asks for. Answered at once, so that answers come in the order of the requests. */
  perform(request: Request, connection: Connection): Effect.Effect<Answerable, Failure> {
    switch (request._tag) {
      case "Put": {
        const put: Put = { ...request, since: this.clock.currentTimeMillisUnsafe(), value: undefined }
        return Effect.map(this.insert(put), (entry) => {
          connection.borrow(entry)
          return { _tag: "Placed", object: entry.object }
        })
      }
      case "Attach":
        return Effect.flatMap(this.find(this.handleOf(request.object)), (entry) => this.attach(entry, request.shared))
      case "Hold":
        return this.lend(this.handleOf(request.object), request.sent, connection)
      case "HandOver":
        return Effect.map(
          this.find(this.handleOf(request.object)),
          (entry) => ({ _tag: "Sent", sent: this.send(entry, request.millis) }) as const
        )
      case "Arrive":
        return Effect.sync(() => {
          this.arrive({ ...this.handleOf(request.object), sent: request.sent })
          return { _tag: "Done" } as const
        })
      case "Statistics":
        return Effect.map(this.statistics, (statistics) => ({ _tag: "Statistics", statistics }) as const)
      case "Release":
        return Effect.sync(() => {
          const entry = this.table.get(request.object)
          if (entry !== undefined && connection.giveBack(entry)) this.table.release(entry)
          return { _tag: "Done" } as const
        })
    }
  }

  release(entry: Entry): void {
    this.table.release(entry)
  }

  private lend(
    handle: Handle,
    sent: number | undefined,
    connection: Connection
  ): Effect.Effect<Answerable, ObjectUnavailable> {
    return Effect.map(this.find(handle), (entry) => {
      this.table.hold(entry, sent)
      connection.borrow(entry)
      return { _tag: "Held", shared: entry.shared } as const
    })
  }

  private handleOf(object: number): Handle {
    return { store: this.id, object, bytes: 0 }
  }

  /** An entry with a reference that is the Scope's. */
  private owned<E>(entry: Effect.Effect<Entry, E>): Effect.Effect<Entry, E, Scope.Scope> {
    return Effect.acquireRelease(entry, (entry) => Effect.sync(() => this.release(entry)))
  }

  private find(handle: Handle): Effect.Effect<Entry, ObjectUnavailable> {
    return Effect.suspend(() => {
      if (handle.store !== this.id) return Effect.fail(unavailable(handle, new Foreign({ store: this.id })))
      if (this.isClosed) return Effect.fail(unavailable(handle, new StoreClosed({})))
      const entry = this.table.get(handle.object)
      return entry === undefined ? Effect.fail(unavailable(handle, new Freed({}))) : Effect.succeed(entry)
    })
  }

  private full(bytes: number, reason: StoreFull["reason"]): StoreFull {
    const { capacity, size, used } = this.table
    return new StoreFull({ bytes, capacity, used, objects: size, reason })
  }

  private place(value: unknown, bytes: number | undefined, label: string | undefined) {
    const binary = isBinary(value) ? value : undefined
    const size = bytes ?? (binary === undefined ? measure(value) : binary.byteLength)
    const since = this.clock.currentTimeMillisUnsafe()
    const put = { bytes: size, label, since }
    // Before anything is copied.
    if (!this.table.fits(size)) return Effect.fail(this.full(size, "capacity"))
    if (binary === undefined) return this.insert({ ...put, value: { it: value }, shared: undefined })
    return Effect.flatMap(
      this.allocate(size, () => share(binary)),
      (shared) => this.insert({ ...put, value: { it: viewOf(shared) }, shared })
    )
  }

  private insert(put: Put): Effect.Effect<Entry, StoreFull | StoreClosed> {
    if (this.isClosed) return Effect.fail(new StoreClosed({}))
    if (!this.table.fits(put.bytes)) return Effect.fail(this.full(put.bytes, "capacity"))
    return Effect.succeed(this.table.add(put))
  }

  private allocate(bytes: number, make: () => Shared): Effect.Effect<Shared, StoreFull> {
    return Effect.try({ try: make, catch: () => this.full(bytes, "memory") })
  }

  private encode(handle: Handle, entry: Entry, schema: ObjectSchema) {
    return Effect.flatMap(encodeValue(schema, entry.value!.it), (bytes) => {
      const encoded = this.allocate(bytes.byteLength, () => shareBytes("encoded", bytes))
      // What travels with its reference needs no room here.
      if (bytes.byteLength < this.threshold) return encoded
      return Effect.flatMap(encoded, (shared) =>
        // Encoding may have taken its time: it may be gone, or encoded by somebody else.
        Effect.flatMap(this.find(handle), (now) => Effect.map(this.attach(now, shared), () => now.shared ?? shared))
      )
    })
  }

  private attach(entry: Entry, shared: Shared): Effect.Effect<Answerable, StoreFull> {
    if (entry.shared !== undefined) return Effect.succeed({ _tag: "Done" })
    if (!this.table.fits(shared.bytes)) return Effect.fail(this.full(shared.bytes, "capacity"))
    this.table.attach(entry, shared)
    return Effect.succeed({ _tag: "Done" })
  }

  private send(entry: Entry, millis: number): number {
    const id = idOf({ store: this.id, object: entry.object })
    let timer: Fiber.Fiber<unknown, unknown> | undefined
    const sent = this.table.send(entry, () => timer?.interruptUnsafe())
    const lost = `nobody has held object ${id} of ${entry.bytes} bytes within ${millis} ms after it was handed over`
    const expire = Effect.suspend(() => {
      timer = undefined
      return this.table.arrive(entry, sent) ? Effect.logWarning(lost) : Effect.void
    })
    if (millis !== Infinity) {
      timer = Effect.runForkWith(this.context)(Effect.andThen(Effect.sleep(millis), expire))
    }
    return sent
  }

  private report(): Statistics {
    const now = this.clock.currentTimeMillisUnsafe()
    const objects = Array.from(this.table.all, ({ bytes, label, object, references, since }) => ({
      object: idOf({ store: this.id, object }),
      label,
      bytes,
      references,
      age: now - since
    }))
    const references = objects.reduce((sum, each) => sum + each.references, 0)
    return {
      capacity: this.table.capacity,
      bytes: this.table.used,
      objects,
      references,
      threads: this.connections.size
    }
  }
}

/** An answer without the number of its request. */
type Answerable = Answer extends infer A ? (A extends { readonly request: number } ? Omit<A, "request"> : never) : never

/** One thread, as the store sees it. */
class Connection {
  /** The port that goes to the thread. */
  readonly theirs: MessagePort
  private readonly home: Home
  private readonly all: Set<Connection>
  private readonly port: MessagePort
  private readonly held = new Set<Entry>()

  constructor(home: Home, all: Set<Connection>) {
    this.home = home
    this.all = all
    const { port1, port2 } = new MessageChannel()
    this.port = port1
    this.theirs = port2
    all.add(this)
    port1.on("message", (request: Numbered) => this.answer(request))
    port1.on("close", () => this.end())
    // Last: listening undoes it. The program ends with its own work, not with its threads'.
    port1.unref()
    this.post({ _tag: "Welcome", store: home.id, threshold: home.threshold })
  }

  /** The thread holds an object, by a reference that was counted for it. One for each object: it counts its own users. */
  borrow(entry: Entry): void {
    this.held.add(entry)
  }

  giveBack(entry: Entry): boolean {
    return this.held.delete(entry)
  }

  close(): void {
    this.port.close()
    this.end()
  }

  private end(): void {
    if (!this.all.delete(this)) return
    for (const entry of this.held) this.home.release(entry)
    this.held.clear()
  }

  private answer(request: Numbered): void {
    const exit = Effect.runSyncExit(this.home.perform(request, this) as Effect.Effect<Answerable, Failure>)
    if (request._tag === "Release" || request._tag === "Arrive" || !this.all.has(this)) return
    const number = { request: request.request }
    if (Exit.isSuccess(exit)) return this.post({ ...exit.value, ...number } as Answer)
    const failure = encodeFailure(Cause.squash(exit.cause) as Failure)
    this.post({ _tag: "Refused", failure, ...number })
  }

  private post(answer: Answer): void {
    this.port.postMessage(answer)
  }
}
