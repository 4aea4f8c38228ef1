// Decodes server-sent events like a browser's EventSource (HTML standard, section 9.2.6).

/** Decodes bytes in any split into events. */
export class SseReader {
  #decoder = new TextDecoder('utf-8')
  #text = ''
  #event = ''
  #data = []

  /** Returns the events that `bytes` completes: `{ event, data }`. */
  feed(bytes) {
    this.#text += this.#decoder.decode(bytes, { stream: true })
    const events = []
    for (;;) {
      const end = this.#text.search(/\r|\n/)
      // A CR at the end of the bytes may be the first half of a CRLF.
      if (end < 0 || (this.#text[end] === '\r' && end + 1 === this.#text.length)) return events
      const line = this.#text.slice(0, end)
      this.#text = this.#text.slice(end + (this.#text.startsWith('\r\n', end) ? 2 : 1))
      const event = this.#line(line)
      if (event) events.push(event)
    }
  }

  #line(line) {
    if (line === '') {
      const event = { event: this.#event || 'message', data: this.#data.join('\n') }
      const hasData = this.#data.length > 0
      this.#event = ''
      this.#data = []
      return hasData ? event : undefined
    }
    const colon = line.indexOf(':')
    const [field, rest] = colon < 0 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 1)]
    const value = rest.startsWith(' ') ? rest.slice(1) : rest
    if (field === 'event') this.#event = value
    if (field === 'data') this.#data.push(value)
    return undefined
  }
}
