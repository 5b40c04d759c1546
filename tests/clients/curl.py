"""As much of curl as the documents use, for machines that have none: -s -i -N -X -H -d --max-time and one URL."""

import argparse
import sys
import time

import httpx2


def main() -> int:
    words = argparse.ArgumentParser()
    words.add_argument("url")
    for flag in ("-s", "-i", "-N"):
        words.add_argument(flag, action="store_true")
    words.add_argument("-X", dest="method")
    words.add_argument("-H", dest="headers", action="append", default=[])
    words.add_argument("-d", dest="body")
    words.add_argument("--max-time", type=float, default=60.0)
    asked = words.parse_args()
    headers = dict(line.split(": ", 1) for line in asked.headers)
    method = asked.method or ("GET" if asked.body is None else "POST")
    deadline = time.monotonic() + asked.max_time
    try:
        with httpx2.stream(method, asked.url, headers=headers, content=asked.body, timeout=asked.max_time) as answer:
            if asked.i:
                lines = (f"{name}: {value}" for name, value in answer.headers.items())
                print(f"HTTP/1.1 {answer.status_code} ", *lines, "", sep="\r\n", end="\r\n", flush=True)
            for chunk in answer.iter_text():
                print(chunk, end="", flush=True)
                if time.monotonic() > deadline:
                    return 28
    except httpx2.TimeoutException:
        return 28
    return 0


if __name__ == "__main__":
    sys.exit(main())
