"""Runs calls through the official Upstash client for Python and prints what it returned.

stdin:  {"url", "token", "calls": [{"call", "args"} | {"pipeline" | "multi": [{"call", "args"}]}]}
stdout: one array, for each call {"result"} or {"error"}.
An object as the last argument of a call stands for keyword arguments.
"""

import json
import sys

from upstash_redis import Redis


def apply(target, call, args):
    keywords = args.pop() if args and isinstance(args[-1], dict) else {}
    return getattr(target, call)(*args, **keywords)


def perform(redis, call):
    if "call" in call:
        return apply(redis, call["call"], call["args"])
    batch = redis.pipeline() if "pipeline" in call else redis.multi()
    for item in call.get("pipeline") or call["multi"]:
        apply(batch, item["call"], item["args"])
    return batch.exec()


def main():
    order = json.load(sys.stdin)
    redis = Redis(order["url"], order["token"], rest_retries=0, allow_telemetry=False)
    answers = []
    for call in order["calls"]:
        try:
            answers.append({"result": perform(redis, call)})
        except Exception as error:  # whatever the client raises is the answer
            answers.append({"error": str(error)})
    print(json.dumps(answers))


main()
