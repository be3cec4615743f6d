#!/usr/bin/env python3
"""Minute bars of a trade file by polars or duckdb: frames.py polars|duckdb FILE [THREADS]. Prints one line of JSON."""
import json, os, sys, time

name, path = sys.argv[1], sys.argv[2]
threads = sys.argv[3] if len(sys.argv) > 3 else "2"
start = time.perf_counter_ns()
if name == "polars":
    os.environ["POLARS_MAX_THREADS"] = threads
    import polars as pl

    bars = (
        pl.scan_csv(path, schema_overrides={"conditions": pl.String, "price": pl.Float64})
        .select("ticker", "price", "sip_timestamp", "size")
        .with_columns(minute=pl.col("sip_timestamp") // 60_000_000_000)
        .group_by("ticker", "minute")
        .agg(
            open=pl.col("price").first(), high=pl.col("price").max(), low=pl.col("price").min(),
            close=pl.col("price").last(), volume=pl.col("size").sum(), trades=pl.len(),
            notional=(pl.col("price") * pl.col("size")).sum(),
        )
        .collect()
    )
    trades, count = int(bars["trades"].sum()), bars.height
elif name == "duckdb":
    import duckdb

    duckdb.sql("SET threads TO %d" % int(threads))
    row = duckdb.sql(
        """
        WITH bars AS (
            SELECT ticker, sip_timestamp // 60000000000 AS minute,
                   arg_min(price, sip_timestamp) AS open, max(price) AS high, min(price) AS low,
                   arg_max(price, sip_timestamp) AS close, sum(size) AS volume, count(*) AS trades,
                   sum(price * size) AS notional
            FROM read_csv('%s', header = true, types = {'conditions': 'VARCHAR', 'price': 'DOUBLE'})
            GROUP BY ALL)
        SELECT sum(trades), count(*), sum(open + high + low + close), sum(volume), sum(notional) FROM bars
        """ % path
    ).fetchall()[0]
    trades, count = int(row[0]), int(row[1])
else:
    sys.exit("no frame library is called " + name)
print(json.dumps({"ns": time.perf_counter_ns() - start, "items": trades, "bars": count}))
