// The suite itself, as published; `run.mjs` says which server it talks to.
import { inject } from 'vitest'
import { runConformanceTests } from '@durable-streams/server-conformance-tests'

runConformanceTests({
  baseUrl: inject('baseUrl'),
  longPollTimeoutMs: inject('longPollTimeoutMs'),
  subscriptions: true,
})
