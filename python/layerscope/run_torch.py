"""Runs as datasets of torch, which is imported when one is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator, Sequence

import numpy as np

from .arrays import need

if TYPE_CHECKING:
    from .run import Run
    from .run_batches import RunBatches


def iterable_dataset(batches: RunBatches) -> Any:
    """An IterableDataset of RunBatches: dicts of tensors."""
    torch = need("torch", "torch_batches")

    class RunIterable(torch.utils.data.IterableDataset):  # type: ignore[misc]
        """Batches of a run. The workers of a DataLoader take shares of the blocks."""

        def __init__(self) -> None:
            self.batches = batches

        def set_epoch(self, epoch: int) -> None:
            """Another order. Workers that live on from pass to pass (persistent_workers) do not hear of it."""
            self.batches.epoch = epoch

        def __iter__(self) -> Iterator[dict[str, Any]]:
            worker = torch.utils.data.get_worker_info()
            mine = self.batches if worker is None else self.batches.shared(worker.id, worker.num_workers)
            for batch in mine:
                yield {name: torch.from_numpy(values) for name, values in batch.items()}

        def __reduce__(self) -> Any:
            return iterable_dataset, (self.batches,)

    return RunIterable()


def map_dataset(run: Run, sites: str | Sequence[str] | None) -> Any:
    """A Dataset of rows: dicts of tensors."""
    torch = need("torch", "torch_dataset")
    chosen = run.chosen(sites)

    class RunRows(torch.utils.data.Dataset):  # type: ignore[misc]
        """Rows of a run."""

        def __len__(self) -> int:
            return len(run)

        def __getitem__(self, place: int) -> dict[str, Any]:
            shard, index = run.locate(place)
            item: dict[str, Any] = {"row": int(shard.numbers[index])}
            for stack in run.stacks:
                ends = shard.array(f"{stack}offsets")
                ids = shard.array(f"{stack}input_ids")[ends[index] : ends[index + 1]]
                item[f"{stack}input_ids"] = torch.from_numpy(np.array(ids, np.int64))
            for site in chosen:
                values = np.array(site.of(shard, index, raw=True))  # a copy: torch takes no memory that is only to be read
                bf16 = shard.is_bf16(site.name)
                tensor = torch.from_numpy(values.view(np.int16) if bf16 else values)
                item[site.name] = tensor.view(torch.bfloat16) if bf16 else tensor
            return item

        def __reduce__(self) -> Any:
            return map_dataset, (run, [site.name for site in chosen])

    return RunRows()
