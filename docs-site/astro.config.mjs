// The documentation site: static pages, built offline.
import starlight from "@astrojs/starlight"
import { defineConfig } from "astro/config"
import { drawings } from "./scripts/drawings.mjs"

export default defineConfig({
  integrations: [
    drawings,
    starlight({
      title: "effect-otp",
      description: "OTP for Effect: typed actors, supervision trees as data, names.",
      sidebar: [
        { label: "Start here", items: ["index", "tutorial"] },
        { label: "Guides", items: [{ autogenerate: { directory: "guides" } }] },
        { label: "API", items: [{ autogenerate: { directory: "api" } }] }
      ],
      customCss: ["./src/site.css"]
    })
  ]
})
