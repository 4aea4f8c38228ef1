// Starts a worker: the page sends the address of its bindings and its compiled WebAssembly module.
onmessage = async ({ data: [bindings, module] }) => {
  const { default: start } = await import(bindings);
  await start({ module_or_path: module });
};
