"""What this machine computes fast, asked of the machine and not guessed."""

import os
import platform
from typing import Any, Literal

import torch

Precision = Literal["auto", "bf16", "fp32"]


def pick_device(device: str | None = None) -> str:
    """Return the device asked for, else CUDA, Apple's GPU or the CPU, whichever is there first."""
    if device:
        return device
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def has_fast_bf16(device: str) -> bool:
    """Tell whether bfloat16 matrix products are done in hardware; emulated ones are 30 to 500 times slower."""
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device == "cpu":
        abilities = torch.cpu.get_capabilities()
        return bool(abilities.get("amx_bf16") or abilities.get("avx512_bf16") or abilities.get("arm_bf16"))
    return False


def use_bf16(precision: Precision, device: str) -> bool:
    """Resolve `auto` to what the device does fast."""
    return has_fast_bf16(device) if precision == "auto" else precision == "bf16"


def describe_machine() -> dict[str, Any]:
    """Return what a reader needs to judge a timing: processor, cores, memory, precision."""
    device = pick_device()
    abilities = torch.cpu.get_capabilities()
    return {
        "processor": abilities.get("cpu_name") or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "device": torch.cuda.get_device_name() if device == "cuda" else device,
        "fast_bf16": has_fast_bf16(device),
        "amx": bool(abilities.get("amx_bf16")),
        "system": platform.platform(),
    }
