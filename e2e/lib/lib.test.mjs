// Tests of the parsers in this folder.
import assert from 'node:assert/strict'
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
