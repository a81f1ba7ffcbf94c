/** The whole app: models, the tree that uses them, the routes on top of it, and a port. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Layer } from "effect"
import { Supervisor } from "effect-otp"
import { HttpRouter } from "effect/http"
import { createServer } from "node:http"
import { type Options, Tree } from "./sessions.ts"
import { Web } from "./web.ts"

/**
 * Serves this machine on `port`, 0 for any that is free. The pool is up before the port is open, and ends after the last request
 * has been answered.
 */
export const server = (port: number, options?: Options) =>
  HttpRouter.serve(Web, { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provideMerge(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port })),
    Layer.provideMerge(Supervisor.layer(Tree(options)))
  )
