"""Which device and number format to train with, and why; one line says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class Device:
    """Where tensors live and in which format the network computes.

    Attributes:
        name: ``cuda``, ``mps`` or ``cpu``.
        dtype: torch.bfloat16 or torch.float32.
        reason: One line for the user.
    """

    name: str
    dtype: torch.dtype
    reason: str

    def reduced(self) -> torch.autocast:
        """A context in which networks compute in the device's format."""
        return torch.autocast(self.name, self.dtype, enabled=self.dtype != torch.float32)

    def placed(self, network: Network) -> Network:
        """The network on the device, channels last."""
        network = network.to(self.name)
        return network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def choose_device(precision: str = "auto") -> Device:
    """The best device, with bfloat16 where the hardware multiplies it and ``precision`` allows."""
    if torch.cuda.is_available():
        name, what, has_bfloat16 = (
            "cuda",
            f"CUDA found {torch.cuda.get_device_name()}",
            torch.cuda.is_bf16_supported(including_emulation=False),
        )
    elif torch.backends.mps.is_available():
        name, what, has_bfloat16 = "mps", "no CUDA, but MPS found an Apple GPU", False
    else:
        units = _cpu_bfloat16_units()
        name, has_bfloat16 = "cpu", bool(units)
        what = f"no CUDA or MPS device; the CPU {f'has {units}' if units else 'lacks bfloat16'}"
    wanted = has_bfloat16 if precision == "auto" else precision == "bfloat16"
    dtype = torch.bfloat16 if wanted else torch.float32
    asked = "" if precision == "auto" else f"; the recipe asks for {precision}"
    shown = str(dtype).removeprefix("torch.")
    threads = f", {torch.get_num_threads()} threads" if name == "cpu" else ""
    return Device(name, dtype, f"{name}, {shown}, channels-last{threads} ({what}{asked})")


def _cpu_bfloat16_units() -> str:
    """The instruction sets that multiply bfloat16, empty if there are none."""
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    names = {"amx_bf16": "AMX", "avx512_bf16": "AVX-512 BF16", "bf16": "BF16"}
    return " and ".join(text for key, text in names.items() if capabilities.get(key))
