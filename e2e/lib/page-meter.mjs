// What a Race page is measured by, from inside: paints, the first events seen, long tasks, frames, drawings.

/** Runs in the page before anything else; leaves its readings in `globalThis.meter`. */
export function install() {
  const meter = { laneAt: {}, longTasks: [], frames: [], drawings: 0, loops: 0, wasmMemory: undefined }
  globalThis.meter = meter
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) meter.longTasks.push({ at: entry.startTime, took: entry.duration })
  }).observe({ type: 'longtask', buffered: true })
  globalThis.addEventListener('TrunkApplicationStarted', (event) => { meter.wasmMemory = event.detail?.wasm?.memory })

  // When each card first shows an event: what a person would see, at the next showing of figures.
  const watch = new MutationObserver(() => {
    const cards = [...document.querySelectorAll('[data-technique]')]
    if (cards.length > 0) meter.builtAt ??= performance.now()
    for (const card of cards) {
      const name = card.dataset.technique
      const shown = card.querySelector('[data-testid="events"]')?.textContent ?? ''
      if (!(name in meter.laneAt) && /[1-9]/.test(shown)) meter.laneAt[name] = performance.now()
    }
    if (cards.length > 0 && cards.every((card) => card.dataset.technique in meter.laneAt)) watch.disconnect()
  })
  watch.observe(document, { subtree: true, childList: true, characterData: true })

  // The browser's frames, and in how many of them the large drawing was made anew.
  let last
  let cleared = false
  const clear = CanvasRenderingContext2D.prototype.clearRect
  CanvasRenderingContext2D.prototype.clearRect = function (...area) {
    cleared ||= this.canvas.dataset.testid === 'sequence'
    return clear.apply(this, area)
  }
  const onFrame = (now) => {
    if (last !== undefined) meter.frames.push(now - last)
    last = now
    if (cleared) meter.drawings += 1
    cleared = false
    requestAnimationFrame(onFrame)
  }
  requestAnimationFrame(onFrame)
}

/** Takes what was collected since the last call, and how long that was by the page's own clock. */
export async function collect(page) {
  return page.evaluate(() => {
    const { meter } = globalThis
    const now = performance.now()
    const sinceMs = now - (meter.collectedAt ?? 0)
    meter.collectedAt = now
    const taken = { sinceMs, longTasks: meter.longTasks, frames: meter.frames, drawings: meter.drawings }
    Object.assign(meter, { longTasks: [], frames: [], drawings: 0 })
    return { ...taken, laneAt: meter.laneAt, builtAt: meter.builtAt, wasmBytes: meter.wasmMemory?.buffer.byteLength ?? 0 }
  })
}

/** `first-paint` and `first-contentful-paint`, ms after the navigation began. */
export async function paints(page) {
  return page.evaluate(() => Object.fromEntries(performance.getEntriesByType('paint').map(({ name, startTime }) => [name, startTime])))
}

/** Milliseconds of processor time of every task of the busiest page's main thread, from a trace of the category `toplevel`. */
export function tasksOfMainThread(trace) {
  const { traceEvents } = JSON.parse(trace.toString())
  const thread = ({ pid, tid }) => `${pid}:${tid}`
  const isMain = ({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain'
  const tasks = new Map(traceEvents.filter(isMain).map((event) => [thread(event), []]))
  for (const event of traceEvents) {
    if (event.ph === 'X' && event.name.endsWith('RunTask')) tasks.get(thread(event))?.push((event.tdur ?? event.dur) / 1_000)
  }
  return [...tasks.values()].sort((one, other) => other.length - one.length)[0] ?? []
}
