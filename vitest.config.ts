/** Tests run against src: `effect-otp` resolves to src/index.ts through the condition `effect-otp/source`. */
import { defaultServerConditions } from "vite"
import { defineConfig } from "vitest/config"

const conditions = ["effect-otp/source", ...defaultServerConditions]

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    include: ["test/**/*.test.ts", "examples/**/*.test.ts"],
    pool: "forks",
    // Only what hangs is to fail for its time: random histories on a busy machine take seconds.
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Type tests. `npm run check` reports type errors everywhere else.
    typecheck: {
      enabled: true,
      include: ["test/types/**/*.test-d.ts"],
      tsconfig: "test/tsconfig.json",
      ignoreSourceErrors: true
    },
    coverage: { provider: "v8", include: ["src/**/*.ts"], reporter: ["text", "html"] }
  }
})
