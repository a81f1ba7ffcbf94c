/** The whole app: the tree, the routes on top of it, and a port. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Layer } from "effect"
import { Supervisor } from "effect-otp"
import { HttpRouter } from "effect/http"
import { createServer } from "node:http"
import { Tree } from "./matrix.ts"
import { Web } from "./web.ts"

/** Serves this machine on `port`, 0 for any that is free. The tree is outside of `serve`, so that it is the same for everybody. */
export const server = (port: number, options?: Parameters<typeof Tree>[0]) =>
  HttpRouter.serve(Web, { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provideMerge(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port })),
    Layer.provideMerge(Supervisor.layer(Tree(options)))
  )
