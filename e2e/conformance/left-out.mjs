// What the conformance suite asks and this release does not promise yet, as data; everything else must pass.
//
// An entry names a describe block (`suite`) or one test (`test`, with the describe blocks above it joined by " > ").
// Names are compared whole. An entry that matches nothing fails the run; a test left out that passes anyway is reported,
// so that the list can only shrink.

export const leftOut = []
