#!/bin/bash
# ctest: labels=real timeout=300
#
# node: worker threads that come and go, pass and share buffers, and use the thread pool.
# shellcheck source-path=SCRIPTDIR source=common.bash
source "$(dirname "$0")/common.bash"
needs nodejs node

cat >"$work/workers.js" <<'SCRIPT'
'use strict';
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const crypto = require('crypto');
const util = require('util');
const zlib = require('zlib');
const deflate = util.promisify(zlib.deflate);
const inflate = util.promisify(zlib.inflate);
const pbkdf2 = util.promisify(crypto.pbkdf2);
const md5 = (data) => crypto.createHash('md5').update(data).digest('hex');

async function work({ seed, shared }) {
    let state = seed + 1;
    const seen = new Map();
    const buffers = [];
    for (let i = 0; i < 60000; i++) {
        state = (state * 16807) % 2147483647;
        const word = state.toString(36).repeat(1 + (state % 5));
        seen.set(word, (seen.get(word) || '') + i);
        if (i % 20 === 0) {
            buffers[state % 200] = Buffer.allocUnsafeSlow(state % 40000).fill(word);
        }
        Atomics.add(shared, state % shared.length, 1);
    }
    const text = Buffer.from([...seen].sort().join('\n'));
    const packed = await Promise.all([1, 6, 9].map((level) => deflate(text, { level })));
    const unpacked = await Promise.all(packed.map((data) => inflate(data)));
    const key = await pbkdf2('secret', String(seed), 500, 64, 'sha512');
    const moved = new Uint8Array(300000).fill(seed);
    return {
        moved,
        seed,
        words: seen.size,
        digests: [...unpacked.map(md5), md5(Buffer.concat(buffers.filter(Boolean))), key.toString('hex')],
    };
}

if (!isMainThread) {
    work(workerData).then((answer) => parentPort.postMessage(answer, [answer.moved.buffer]));
} else {
    (async () => {
        const shared = new Int32Array(new SharedArrayBuffer(64 * 4));
        const seeds = [...Array(24).keys()];
        const answers = [];
        const next = async () => {
            while (seeds.length > 0) {
                const seed = seeds.shift();
                const worker = new Worker(__filename, { workerData: { seed, shared } });
                answers.push(await new Promise((resolve, reject) => {
                    worker.once('message', resolve);
                    worker.once('error', reject);
                }));
                await worker.terminate();
            }
        };
        await Promise.all([next(), next(), next(), next()]);
        answers.sort((a, b) => a.seed - b.seed);
        for (const { seed, words, digests, moved } of answers) {
            console.log(seed, words, md5(moved), ...digests);
        }
        console.log(shared.join(' '));
        console.error('the end');
    })();
}
SCRIPT

takes_malloc_from_library node --version
both workers node "$work/workers.js"
exited_with 0 workers
finish
