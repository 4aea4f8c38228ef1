// The judge of the conformance results, on results made up for it. Run by `node --test`.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { countByPart, judge } from './judge.mjs'

const leftOut = [
  { part: 'forks', suite: 'Fork - Reading' },
  { part: 'producers', test: 'Closure > fences' },
]

test('a failure outside the list counts, one inside does not', () => {
  const verdict = judge(
    [
      { name: 'Fork - Reading > a', state: 'failed' },
      { name: 'Closure > fences', state: 'failed' },
      { name: 'Reading > a', state: 'failed' },
      { name: 'Reading > b', state: 'passed' },
    ],
    leftOut,
  )
  assert.deepEqual(verdict.failed.map(({ name }) => name), ['Reading > a'])
  assert.deepEqual(verdict.passed.map(({ name }) => name), ['Reading > b'])
  assert.deepEqual(countByPart(verdict.absent), { forks: 1, producers: 1 })
  assert.deepEqual(verdict.idle, [])
})

test('names are compared whole', () => {
  const verdict = judge(
    [
      { name: 'Fork - Reading more > a', state: 'failed' },
      { name: 'Closure > fences twice', state: 'failed' },
    ],
    leftOut,
  )
  assert.equal(verdict.failed.length, 2)
  assert.deepEqual(verdict.idle, leftOut)
})

test('what is left out and passes is a surprise', () => {
  const verdict = judge([{ name: 'Fork - Reading > a', state: 'passed' }], leftOut)
  assert.deepEqual(verdict.surprises.map(({ part }) => part), ['forks'])
  assert.equal(verdict.passed.length, 0)
})

test('a skipped test that counts is a failure', () => {
  assert.equal(judge([{ name: 'Reading > a', state: 'skipped' }], leftOut).failed.length, 1)
})
