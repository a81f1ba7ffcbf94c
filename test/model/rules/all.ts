/**
 * All rules as one value, so that a single one can be replaced by a wrong one.
 */
import * as admin from "./admin.ts"
import * as budget from "./budget.ts"
import * as ends from "./ends.ts"
import * as order from "./order.ts"
import * as reconfiguration from "./reconfiguration.ts"
import * as significance from "./significance.ts"
import * as validity from "./validity.ts"

export const rules = { admin, budget, ends, order, reconfiguration, significance, validity }

export type Rules = typeof rules
