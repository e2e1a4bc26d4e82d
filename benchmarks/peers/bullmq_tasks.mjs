// BullMQ (Node): its worker, and the modes of producer.py that it is asked for.
//
//   node bullmq_tasks.mjs worker | fill | bulk | singly | concurrent | probe | pace  '{"task": "nothing", "count": 1000}'

import { appendFileSync, closeSync, existsSync, openSync, readSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { setTimeout as pause } from "node:timers/promises";

const require = createRequire(`${process.env.BENCH_HOME}/package.json`);
const { Queue, QueueEvents, Worker } = require("bullmq");

const env = process.env;
const { hostname: host, port } = new URL(env.BENCH_URL);
const connection = { host, port: Number(port), maxRetriesPerRequest: null };
const fast = (env.BENCH_SETUP ?? "").includes("tuned");
const results = env.BENCH_RESULTS === "1";
const BATCH = 1000, AT_ONCE = 100, WARM_UP = 20, JOBS = 100, NAP_MS = 50, SLEEP_MS = 400_000, SPIN_MS = 10, PACE_MS = 10;

// The recovery benchmark runs one task, numbers no jobs, and what is tuned there is how soon lost jobs come back.
const recovery = env.BENCH_TASKS === "sleep";
const runs = recovery ? -1 : openSync(env.BENCH_WITNESS, "r+");
const stamps = recovery ? -1 : openSync(env.BENCH_STAMPS, "r+");
const one = Buffer.from([1]);
const ran = (n) => writeSync(runs, one, 0, 1, n);

// Microseconds of processor time, the kernel's too: asking is a system call, and that is all that the loop does.
const used = () => { const { user, system } = process.cpuUsage(); return user + system; };

// process.hrtime is CLOCK_MONOTONIC, as Python's time.monotonic_ns.
const handlers = {
  nothing: async ({ n }) => { ran(n); },
  stamp: async ({ n }) => {
    const at = Buffer.alloc(8);
    at.writeBigInt64LE(process.hrtime.bigint());
    writeSync(stamps, at, 0, 8, 8 * n);
    ran(n);
    return n;
  },
  nap: async ({ n }) => { await pause(NAP_MS); ran(n); },
  sleep: async ({ n }) => {
    appendFileSync(env.BENCH_STARTS, `${n} ${process.pid} ${process.hrtime.bigint()}\n`);
    await pause(SLEEP_MS);
  },
  spin: async ({ n }) => {
    const before = used();
    while (used() - before < SPIN_MS * 1000);
    ran(n);
  },
};

function work() {
  const concurrency = Number(env.BENCH_CONCURRENCY || 0) || (recovery ? JOBS : fast ? 100 : 1);
  const watchful = recovery && fast ? { lockDuration: 10_000, stalledInterval: 1_000 } : {};
  new Worker("work", (job) => handlers[job.name](job.data), { connection, concurrency, ...watchful });
}

const pad = (task, n) => "x".repeat(Math.max(0, 200 - `${task}[[${n},""],{}]`.length));
const kept = fast && !results ? { removeOnComplete: true, removeOnFail: true } : {};
const data = (o, n) => ({ n, padding: o.padded ? pad(o.task, n) : "" });

async function many(queue, o, first, count) {
  await queue.addBulk(
    Array.from({ length: count }, (_, i) => ({ name: o.task, data: data(o, first + i), opts: kept })),
  );
}

const modes = {
  async fill(queue, o) {
    for (let sent = 0; sent < o.count; sent += BATCH) {
      await many(queue, o, o.start + sent, Math.min(BATCH, o.count - sent));
    }
  },
  async singly(queue, o) {
    for (let n = o.start; n < o.start + o.count; n++) await queue.add(o.task, data(o, n), kept);
  },
  async concurrent(queue, o) {
    let next = o.start;
    const some = async () => {
      while (next < o.start + o.count) {
        const n = next++;
        await queue.add(o.task, data(o, n), kept);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, some));
  },
};
modes.bulk = modes.fill;

async function started(n) {
  const at = Buffer.alloc(8);
  const end = Date.now() + 60_000;
  for (;;) {
    readSync(stamps, at, 0, 8, 8 * n);
    if (at.readBigInt64LE() !== 0n) return at.readBigInt64LE();
    if (Date.now() > end) throw new Error(`job ${n} did not start within 60 s`);
    await pause(1);
  }
}

async function probe(queue, o) {
  const events = new QueueEvents("work", { connection });
  await events.waitUntilReady();
  const told = { start_ms: [], result_ms: [] };
  for (let n = 0; n < o.count + WARM_UP; n++) {
    const before = process.hrtime.bigint();
    const job = await queue.add(o.task, data(o, n), kept);
    if (o.results) await job.waitUntilFinished(events, 60_000);
    const after = process.hrtime.bigint();
    const at = await started(n);
    if (n >= WARM_UP) {
      told.start_ms.push(Number(at - before) / 1e6);
      if (o.results) told.result_ms.push(Number(after - before) / 1e6);
    }
    await pause(10 + 30 * Math.random());
  }
  await events.close();
  return told;
}

async function pace(queue, o) {
  const began = Date.now();
  let sent = 0;
  while (Date.now() - began < o.seconds * 1000 && !existsSync(env.BENCH_STOP)) {
    const due = Math.min(BATCH, o.count - sent, Math.floor(((Date.now() - began) / 1000) * o.rate) - sent);
    if (due > 0) {
      await many(queue, o, o.start + sent, due);
      sent += due;
    }
    await pause(PACE_MS);
  }
  return { seconds: (Date.now() - began) / 1000, count: sent };
}

async function produce(mode, o) {
  const queue = new Queue("work", { connection });
  await queue.waitUntilReady();
  let told;
  if (mode === "probe") told = await probe(queue, o);
  else if (mode === "pace") told = await pace(queue, o);
  else {
    const began = performance.now();
    await modes[mode](queue, o);
    told = { seconds: (performance.now() - began) / 1000, count: o.count };
  }
  await queue.close();
  console.log(JSON.stringify(told));
  if (!recovery) closeSync(runs);
}

if (process.argv[2] === "worker") work();
else await produce(process.argv[2], { start: 0, padded: false, results: false, ...JSON.parse(process.argv[3]) });
