// The published suite; `run.mjs` provides the address of the server.
import { inject } from 'vitest'
import { runConformanceTests } from '@durable-streams/server-conformance-tests'

runConformanceTests({
  baseUrl: inject('baseUrl'),
  longPollTimeoutMs: inject('longPollTimeoutMs'),
  subscriptions: true,
})
