// The documentation site: static pages, built offline.
import starlight from "@astrojs/starlight"
import { defineConfig } from "astro/config"

export default defineConfig({
  integrations: [
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
