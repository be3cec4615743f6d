// Runs calls through the official Upstash client for JavaScript and prints what it returned.
//
// stdin:  {"url", "token", "calls": [{"call", "args"} | {"pipeline" | "multi": [{"call", "args"}]}]}
// stdout: one array, for each call {"result"} or {"error"}. As for any user of the client, a value that is JSON
// comes back parsed.

const { Redis } = require("@upstash/redis");

async function perform(redis, { call, args, pipeline, multi }) {
  if (call) {
    return redis[call](...args);
  }
  const batch = pipeline ? redis.pipeline() : redis.multi();
  for (const item of pipeline ?? multi) {
    batch[item.call](...item.args);
  }
  return batch.exec();
}

async function main() {
  const { url, token, calls } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
  const redis = new Redis({ url, token, retry: false, enableTelemetry: false });
  const answers = [];
  for (const call of calls) {
    try {
      answers.push({ result: await perform(redis, call) });
    } catch (error) {
      answers.push({ error: String(error.message) });
    }
  }
  console.log(JSON.stringify(answers));
}

main();
