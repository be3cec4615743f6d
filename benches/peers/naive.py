#!/usr/bin/env python3
"""Minute bars of pages of JSON by a plain loop, as a backend writes it: naive.py FOLDER. Prints one line of JSON."""
import datetime, glob, json, sys, time

start = time.perf_counter_ns()
trades = []
for path in sorted(glob.glob(sys.argv[1] + "/*.json")):
    with open(path) as file:
        trades.extend(json.load(file)["results"])
bars = {}
for trade in trades:
    at = datetime.datetime.fromtimestamp(trade["sip_timestamp"] / 1e9, datetime.timezone.utc)
    minute, price, size = at.replace(second=0, microsecond=0), trade["price"], trade["size"]
    bar = bars.get(minute)
    if bar is None:
        bars[minute] = {"open": price, "high": price, "low": price, "close": price, "volume": size}
    else:
        bar["high"] = max(bar["high"], price)
        bar["low"] = min(bar["low"], price)
        bar["close"] = price
        bar["volume"] += size
print(json.dumps({"ns": time.perf_counter_ns() - start, "items": len(trades), "bars": len(bars)}))
