/**
 * An actor that takes no message for a while: because somebody has suspended it, or because somebody holds it to change it.
 *
 * Invariants:
 * 1. The two know nothing of each other: it takes messages again when neither is left.
 * 2. Who waits is called back once: when it takes no message, when what was asked for is over, or when nobody will come.
 * 3. An incarnation begins without either, unless it comes in exchange for another: then it is as suspended as that was.
 */
import * as State from "./state.ts"
import { Turns } from "./turns.ts"

/** Somebody who waits until it takes no message. @internal */
export interface Waiting {
  readonly order: number
  readonly done: () => void
}

const nothing = (): void => undefined

/** @internal */
export abstract class Pausing extends Turns {
  protected abstract pausing: ReadonlyArray<Waiting>
  /** Whether one program makes way for another. */
  protected abstract readonly isExchanging: boolean
  protected abstract tellFollowers(): void

  /**
   * Takes no message after the one at hand, until `unpause` or the next incarnation. Calls back when that is so, or when
   * there is nothing left to pause. What comes back takes it back, while it has not come to that.
   */
  pause(done: () => void): () => void {
    if (this.state === State.Stopping && this.isExchanging) this.control |= State.PauseRequested
    return this.takesNone(State.PauseRequested, done)
  }

  /** Goes on with what has come in since. */
  unpause(): void {
    this.takesAgain(State.PauseRequested)
  }

  /** As `pause`, until `release`: for one who changes it, which is nobody else's business. One at a time. */
  hold(done: () => void): void {
    this.takesNone(State.HoldRequested, done)
  }

  release(): void {
    this.takesAgain(State.HoldRequested)
  }

  protected paused(): void {
    this.state = State.Paused
    this.tellPaused(State.Pauses)
  }

  protected tellPaused(orders: number): void {
    const { pausing } = this
    if (pausing.length === 0) return
    this.pausing = pausing.filter(({ order }) => (order & orders) === 0)
    for (const { done, order } of pausing) if ((order & orders) !== 0) done()
  }

  private takesNone(order: number, done: () => void): () => void {
    if (this.state < State.Stopping) {
      this.control |= order
      if (this.state === State.Idle || this.state === State.Queued) this.state = State.Paused
      this.tellFollowers()
    }
    if (this.state === State.Paused || this.state >= State.Stopping) {
      done()
      return nothing
    }
    const waiting = { order, done }
    this.pausing = [...this.pausing, waiting]
    return () => {
      if (!this.pausing.includes(waiting)) return
      this.pausing = this.pausing.filter((each) => each !== waiting)
      if (!this.pausing.some((each) => each.order === order)) this.control &= ~order
    }
  }

  private takesAgain(order: number): void {
    if ((this.control & order) === 0) return
    this.control &= ~order
    if (this.state !== State.Paused) this.tellPaused(order)
    else if ((this.control & State.Pauses) === 0) {
      this.state = State.Running
      this.endTurn()
    }
    this.tellFollowers()
  }
}
