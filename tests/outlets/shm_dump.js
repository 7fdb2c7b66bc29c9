// Prints what the reader for GJS reads of each file, as a line of JSON; the reader's folder is the first argument.
const [readers, ...paths] = ARGV;
const {Reader} = await import(`file://${readers}/pwmixer-shm.js`);
for (const path of paths) {
    const reader = new Reader(path);
    const state = reader.read();
    if (state !== reader.read())
        throw new Error('what has not changed is another object');
    print(JSON.stringify(state, (_, value) => (typeof value === 'bigint' ? Number(value) : value)));
}
