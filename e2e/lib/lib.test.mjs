// Tests of the parsers in this folder, and of the list of browser tests.
import assert from 'node:assert/strict'
import { readFile, readdir } from 'node:fs/promises'
import { test } from 'node:test'
import { csvRecords, parseCsv } from './csv.mjs'
import { SseReader } from './sse.mjs'

test('quoted cells may contain commas, quotes and line breaks', () => {
  assert.deepEqual(parseCsv('a,b\r\n"1,""x""\n2",\r\n'), [['a', 'b'], ['1,"x"\n2', '']])
  assert.deepEqual(csvRecords('a,b\n1,2\n'), [{ a: '1', b: '2' }])
  assert.throws(() => csvRecords('a,b\n1\n'), /expected 2/)
  assert.throws(() => parseCsv('a"b\n'), /not CSV/)
})

test('server-sent events do not depend on where bytes are split', () => {
  const bytes = Buffer.from(': hello\r\n\r\nevent: data\r\ndata: é1\rdata:2\n\nevent: control\ndata:{"x":1}\n\n')
  const expected = [{ event: 'data', data: 'é1\n2' }, { event: 'control', data: '{"x":1}' }]
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    const reader = new SseReader()
    const events = [...reader.feed(bytes.subarray(0, cut)), ...reader.feed(bytes.subarray(cut))]
    assert.deepEqual(events, expected, `cut at ${cut}`)
  }
})

test('cargo xtask test runs every file of browser tests', async () => {
  const files = await readdir(new URL('../browser/', import.meta.url))
  const step = await readFile(new URL('../../tools/xtask/src/test/browser.rs', import.meta.url), 'utf8')
  const listed = [...step.matchAll(/"browser\/(.*\.test\.mjs)"/g)].map(([, name]) => name)
  assert.deepEqual(listed.sort(), files.filter((name) => name.endsWith('.test.mjs')).sort())
})
