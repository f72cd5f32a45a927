import torch

from digitlens.training.loop import choose_device


def test_recipe_can_request_a_precision():
    assert choose_device("float32").dtype == torch.float32
    asked = choose_device("bfloat16")
    assert asked.dtype == torch.bfloat16
    assert "the recipe requires bfloat16" in asked.reason


def test_auto_uses_bfloat16_only_with_hardware_support(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True}, raising=False)
    with_amx = choose_device()
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True}, raising=False)
    without = choose_device()
    assert (with_amx.name, with_amx.dtype) == ("cpu", torch.bfloat16)
    assert "no CUDA or MPS device; the CPU has AMX" in with_amx.reason
    assert (without.name, without.dtype) == ("cpu", torch.float32)
    assert "lacks bfloat16" in without.reason


def test_gpu_is_used_if_available(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Imaginary 9000")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    device = choose_device()
    assert (device.name, device.dtype) == ("cuda", torch.bfloat16)
    assert "Imaginary 9000" in device.reason
