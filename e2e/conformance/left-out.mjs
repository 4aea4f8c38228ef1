// What the conformance suite asks and this release does not promise yet, as data; everything else must pass.
//
// An entry names a describe block (`suite`) or one test (`test`, with the describe blocks above it joined by " > ").
// Names are compared whole. An entry that matches nothing fails the run; a test left out that passes anyway is reported,
// so that the list can only shrink.

const ttl = 'TTL and expiry'
const forks = 'forks'

export const leftOut = [
  { part: ttl, suite: 'TTL and Expiry Validation' },
  { part: ttl, suite: 'TTL and Expiry Edge Cases' },
  { part: ttl, suite: 'HEAD Metadata Edge Cases' },
  { part: ttl, suite: 'TTL Expiration Behavior' },

  { part: forks, suite: 'Fork - Creation' },
  { part: forks, suite: 'Fork - Reading' },
  { part: forks, suite: 'Fork - Appending' },
  { part: forks, suite: 'Fork - Recursive' },
  { part: forks, suite: 'Fork - Live Modes' },
  { part: forks, suite: 'Fork - Deletion and Lifecycle' },
  { part: forks, suite: 'Fork - TTL and Expiry' },
  { part: forks, suite: 'Fork - JSON Mode' },
  { part: forks, suite: 'Fork - Edge Cases' },

  { part: 'subscriptions', suite: 'Reserved subscription APIs' },
]
