"""In both stores: a purge leaves chains that can be verified, and checkpoints of theirs."""

from msgspec.structs import replace

from gateway.audit import AuditEntry
from gateway.audit.checkpoints import Checkpoints, Signer, new_chain
from gateway.audit.purging import purge
from gateway.audit.verifying import Verifying
from gateway.records import Checkpoint

SIGNER = Signer({"one": b"1" * 32})


async def written(store, count: int):
    chain, checkpoints = new_chain(), Checkpoints(store.checkpoints, SIGNER, lambda: count)
    await checkpoints.vouch(chain)
    await store.audit.append([chain.add(AuditEntry(id=f"{n << 16:016x}{chain.id}", at=n)) for n in range(1, count + 1)])
    await checkpoints.vouch(chain)
    return chain, checkpoints


async def breaks(store) -> list[str]:
    found = {each.id: each for each in await store.checkpoints.page()}
    verifying = Verifying(found, SIGNER)
    for entry in await store.audit.scan(limit=1_000):
        verifying.take(entry)
    return [str(each) for each in verifying.finish(found, 10**9)[1]]


async def test_a_checkpoint_lives_from_add_to_remove(store):
    first = await store.checkpoints.add(Checkpoint(id="c", start=1, number=2**53, link="l", key="k", signature="s"))
    second = await store.checkpoints.replace(first)
    assert await store.checkpoints.get("c") == replace(first, rev=second.rev)
    await store.checkpoints.remove("c")
    assert await store.checkpoints.get("c") is None


async def test_after_a_purge_the_chain_begins_at_its_checkpoint(store):
    chain, checkpoints = await written(store, 20)
    assert await purge(store.audit, store.checkpoints, SIGNER, 11) == 10
    assert (await store.checkpoints.get(chain.id)).start == 10
    assert await breaks(store) == []
    await store.audit.append([chain.add(AuditEntry(id=f"{21 << 16:016x}{chain.id}", at=21))])
    await checkpoints.vouch(chain)
    assert await breaks(store) == []
    assert await store.audit.purge(13) == 2
    assert "numbers 11 to 12 were removed" in (await breaks(store))[0]


async def test_a_chain_of_which_nothing_is_left_leaves_nothing_and_can_go_on(store):
    chain, checkpoints = await written(store, 3)
    await purge(store.audit, store.checkpoints, SIGNER, 9)
    assert list(await store.checkpoints.page()) == []
    await store.audit.append([chain.add(AuditEntry(id=f"{21 << 16:016x}{chain.id}", at=21))])
    await checkpoints.vouch(chain)
    assert await breaks(store) == []


async def test_a_checkpoint_that_somebody_changed_is_never_signed(store):
    chain, checkpoints = await written(store, 5)
    found = await store.checkpoints.get(chain.id)
    changed = await store.checkpoints.replace(replace(found, start=3, start_link="x"))
    await purge(store.audit, store.checkpoints, SIGNER, 5)
    assert "changed or forged" in (await breaks(store))[0]
    assert await store.checkpoints.get(chain.id) == changed
    await checkpoints.vouch(chain)
    assert (await store.checkpoints.get(chain.id)).start == 0
