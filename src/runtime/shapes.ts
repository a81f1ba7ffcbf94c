/**
 * Shapes that outlive their objects.
 *
 * V8 forgets the shape of a class when its last instance is collected, and throws away all code optimised for it. One
 * instance of each class that every message passes is kept, so that a program whose actors have all ended starts its next
 * ones at full speed.
 */
const kept: Array<object> = []

/** Keeps one instance of a class whose shape must not be forgotten. @internal */
export const keepShape = (instance: object): void => {
  kept.push(instance)
}
