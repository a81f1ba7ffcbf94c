/**
 * Who is in a group, which rounds are open, and how a generation ends.
 *
 * 1. A rank has one owner, from its join until the owner's Scope closes.
 * 2. A generation is broken once, with one reason, and then everything of it fails with that reason. Who was in it is in none
 *    until it joins again, so that no operation of before is ever matched with one of after.
 * 3. The nth call of each member is round n. A round is settled when all have called, for all at once, and never undone.
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import {
  CollectiveError,
  GroupClosed,
  GroupFull,
  JoinError,
  MemberLeft,
  Mismatch,
  NoSuchRank,
  type Reason,
  RankTaken,
  ScopeClosed,
  TimedOut
} from "./collectiveErrors.ts"
import { type Combine, describe, type Operation, resultsOf } from "./collectiveRounds.ts"
import { isWhole } from "../actor/limit.ts"

type Resume = (outcome: Exit.Exit<unknown, CollectiveError>) => void

/** What a member brings to a round. */
export interface Call {
  readonly operation: Operation
  readonly value: unknown
  readonly combine: Combine<unknown> | undefined
}

interface Round {
  readonly number: number
  readonly operation: Operation
  /** By rank. */
  readonly calls: Map<number, { readonly call: Call; readonly resume: Resume }>
}

class Generation {
  readonly number: number
  readonly joined = new Set<number>()
  readonly rounds = new Map<number, Round>()
  broken: Reason | undefined = undefined

  constructor(number: number) {
    this.number = number
  }
}

/** A rank and its owner. */
export class Seat {
  readonly rank: number
  generation: Generation
  /** The round of its next call. */
  next = 0
  isOpen = true

  constructor(rank: number, generation: Generation) {
    this.rank = rank
    this.generation = generation
  }
}

export class GroupCore {
  readonly name: string
  readonly size: number
  private readonly millis: number
  private readonly seats: Array<Seat | undefined>
  private current = new Generation(1)
  private isClosed = false

  constructor(name: string, size: number, millis: number) {
    this.name = name
    this.size = size
    this.millis = millis
    this.seats = Array.from({ length: size }, () => undefined)
  }

  close(): void {
    this.isClosed = true
    this.end(this.current, new GroupClosed({}))
  }

  get status() {
    const { joined, number, rounds } = this.current
    const waiting = Array.from(rounds.values(), ({ calls, number, operation }) => ({
      round: number,
      operation: describe(operation),
      ranks: [...calls.keys()].sort((a, b) => a - b)
    }))
    return { generation: number, size: this.size, joined: [...joined].sort((a, b) => a - b), waiting }
  }

  join(rank: number | undefined): Seat | JoinError {
    if (this.isClosed) return this.refused(new GroupClosed({}))
    if (rank === undefined) {
      const free = this.seats.indexOf(undefined)
      return free === -1 ? this.refused(new GroupFull({ size: this.size })) : this.take(free)
    }
    if (!this.isRank(rank)) return this.refused(new NoSuchRank({ rank, size: this.size }))
    return this.seats[rank] === undefined ? this.take(rank) : this.refused(new RankTaken({ rank }))
  }

  private take(rank: number): Seat {
    const seat = new Seat(rank, this.current)
    this.seats[rank] = seat
    this.current.joined.add(rank)
    return seat
  }

  /** Into the generation that is being formed, when the one it was in is broken. */
  rejoin(seat: Seat): JoinError | undefined {
    if (this.isClosed) return this.refused(new GroupClosed({}))
    if (!seat.isOpen) return this.refused(new ScopeClosed({ rank: seat.rank }))
    if (seat.generation === this.current) return undefined
    seat.generation = this.current
    seat.next = 0
    this.current.joined.add(seat.rank)
    return undefined
  }

  leave(seat: Seat, exit: Exit.Exit<unknown, unknown>): void {
    seat.isOpen = false
    this.seats[seat.rank] = undefined
    this.end(seat.generation, leftWith(seat.rank, exit))
  }

  /** The next round of a member: its result once all have called. Interrupted while it waits, the member has left. */
  call(seat: Seat, make: () => Call): Effect.Effect<unknown, CollectiveError> {
    return Effect.contextWith((context: Context.Context<never>) =>
      Effect.callback<unknown, CollectiveError>((resume) => {
        const call = make()
        const { generation, next } = seat
        const refusal = generation.broken === undefined ? this.unfit(seat, call.operation) : undefined
        if (refusal !== undefined) this.end(generation, refusal)
        if (generation.broken !== undefined) return resume(this.failure(generation, next, call.operation))
        seat.next++
        const timer = this.watch(generation, next, context)
        const settle: Resume = (outcome) => {
          timer?.interruptUnsafe()
          resume(outcome)
        }
        this.arrive(generation, seat.rank, next, { call, resume: settle })
        return Effect.sync(() => {
          timer?.interruptUnsafe()
          this.end(generation, new MemberLeft({ rank: seat.rank, why: "interrupted" }))
        })
      })
    )
  }

  private unfit({ rank }: Seat, operation: Operation): Mismatch | undefined {
    const { kind, root } = operation
    if (root === undefined || this.isRank(root)) return undefined
    return new Mismatch({ rank, expected: `${kind} with a root of 0 to ${this.size - 1}`, actual: describe(operation) })
  }

  /** Breaks the generation when this round takes too long. */
  private watch(generation: Generation, number: number, context: Context.Context<never>) {
    if (this.millis === Infinity) return undefined
    const expire = Effect.sync(() => {
      const calls = generation.rounds.get(number)?.calls
      const missing = Array.from(this.seats.keys()).filter((rank) => calls?.has(rank) !== true)
      this.end(generation, new TimedOut({ millis: this.millis, missing }))
    })
    return Effect.runForkWith(context)(Effect.andThen(Effect.sleep(this.millis), expire))
  }

  private isRank(rank: number): boolean {
    return isWhole(rank, 0, this.size - 1)
  }

  private refused(reason: JoinError["reason"]): JoinError {
    return new JoinError({ group: this.name, reason })
  }

  private failure(generation: Generation, round: number, operation: Operation): Exit.Exit<never, CollectiveError> {
    const reason = generation.broken ?? new GroupClosed({})
    return Exit.fail(
      new CollectiveError({
        group: this.name,
        generation: generation.number,
        round,
        operation: describe(operation),
        reason
      })
    )
  }

  private arrive(
    generation: Generation,
    rank: number,
    number: number,
    arrival: { readonly call: Call; readonly resume: Resume }
  ): void {
    const { operation } = arrival.call
    const round = generation.rounds.get(number) ?? { number, operation, calls: new Map() }
    generation.rounds.set(number, round)
    round.calls.set(rank, arrival)
    const [expected, actual] = [describe(round.operation), describe(operation)]
    if (expected !== actual) return this.end(generation, new Mismatch({ rank, expected, actual }))
    if (round.calls.size === this.size) this.settle(generation, round)
  }

  private settle(generation: Generation, round: Round): void {
    const calls = Array.from({ length: this.size }, (_, rank) => round.calls.get(rank)!)
    const results = resultsOf(
      round.operation,
      calls.map(({ call }) => call.value),
      calls[0]!.call.combine
    )
    if (!Array.isArray(results)) return this.end(generation, results as Reason)
    generation.rounds.delete(round.number)
    for (const [rank, { resume }] of calls.entries()) resume(Exit.succeed(results[rank]))
  }

  /** Breaks a generation and opens the next; does nothing where that has been done. */
  private end(generation: Generation, reason: Reason): void {
    if (generation.broken !== undefined) return
    generation.broken = reason
    this.current = new Generation(generation.number + 1)
    for (const round of generation.rounds.values()) {
      const ranks = [...round.calls.keys()].sort((a, b) => a - b)
      for (const rank of ranks) {
        const { call, resume } = round.calls.get(rank)!
        resume(this.failure(generation, round.number, call.operation))
      }
    }
    generation.rounds.clear()
  }
}

const leftWith = (rank: number, exit: Exit.Exit<unknown, unknown>): MemberLeft => {
  if (Exit.isSuccess(exit)) return new MemberLeft({ rank, why: "left" })
  if (Cause.hasInterruptsOnly(exit.cause)) return new MemberLeft({ rank, why: "interrupted" })
  return new MemberLeft({ rank, why: "crashed", cause: Cause.squash(exit.cause) })
}
