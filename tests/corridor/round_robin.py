"""A proxy on a port that joins each connection to the next of those behind it: ``round_robin.py PORT BEHIND…``."""

import asyncio
import itertools
import sys
from contextlib import suppress


async def poured(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await source.read(65_536):
            sink.write(chunk)
            await sink.drain()
    sink.close()


async def serve(port: int, behind: list[int]) -> None:
    turns = itertools.cycle(behind)

    async def joined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", next(turns))
        await asyncio.gather(poured(reader, back), poured(there, writer))

    server = await asyncio.start_server(joined, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), [int(each) for each in sys.argv[2:]]))
