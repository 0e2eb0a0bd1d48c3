"""The works of `ala bench` in PyTorch, and the encoder in OpenVINO, on random weights of the same sizes.

usage: python3 peer.py WORK [--library torch|openvino] [--threads N] [--batch N] [--dtype D] [--steps N] [--repeats N]

ViT-B/16 at 224 pixels with QuickGELU, LoRA of rank 16 in block 10, a side branch of width 240 with 8 layers, branches
for 200 classes. Prints one JSON object: samples per second of the fastest repeat, peak memory in MiB, the library.
`fcam` leaves out the dense CRF and the drawing of seeds, which PyTorch does not have.
"""

import argparse
import json
import resource
import time

import torch
from torch import nn
from torch.nn import functional as F

WIDTH, HEADS, DEPTH, PATCH, SIDE, GRID, CLASSES = 768, 12, 12, 16, 224, 14, 200
LORA_BLOCK, RANK, FUSED = 10, 16, 4


class Linear(nn.Linear):
    """A linear map, with a low-rank update where `rank` is not 0."""

    def __init__(self, inputs, outputs, rank=0):
        super().__init__(inputs, outputs)
        self.down = nn.Parameter(torch.randn(rank, inputs) / inputs ** 0.5) if rank else None
        self.up = nn.Parameter(torch.zeros(outputs, rank)) if rank else None

    def forward(self, x):
        y = super().forward(x)
        return y if self.down is None else y + F.linear(F.linear(x, self.down), self.up)


class Layer(nn.Module):
    def __init__(self, width, heads, activation, rank=0):
        super().__init__()
        self.heads, self.activation = heads, activation
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.query, self.key, self.value, self.out = (Linear(width, width, rank) for _ in range(4))
        self.expand, self.reduce = Linear(width, 4 * width, rank), Linear(4 * width, width, rank)

    def forward(self, x):
        n = self.norms[0](x)
        heads = [m(n).unflatten(-1, (self.heads, -1)).transpose(1, 2) for m in (self.query, self.key, self.value)]
        x = x + self.out(F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2))
        return x + self.reduce(self.activation(self.expand(self.norms[1](x))))


def quick_gelu(x):
    return x * torch.sigmoid(1.702 * x)


def square(tokens):
    """[B, N, D] as [B, D, g, g]."""
    return tokens.transpose(1, 2).unflatten(2, (GRID, GRID))


class Encoder(nn.Module):
    def __init__(self, with_lora):
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, PATCH, PATCH, bias=False)
        self.token = nn.Parameter(torch.randn(1, 1, WIDTH) / WIDTH ** 0.5)
        self.positions = nn.Parameter(torch.randn(GRID * GRID + 1, WIDTH) / 50)
        self.norm = nn.LayerNorm(WIDTH)
        self.first = LORA_BLOCK if with_lora else DEPTH + 1
        self.layers = nn.ModuleList(
            Layer(WIDTH, HEADS, quick_gelu, RANK if i == self.first else 0) for i in range(1, DEPTH + 1))
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name.endswith((".down", ".up")))

    def embed(self, pixels):
        x = self.patches(pixels).flatten(2).transpose(1, 2)
        return self.norm(torch.cat([self.token.expand(len(x), 1, WIDTH), x], 1) + self.positions)

    def frozen(self, pixels):
        """h of the layers that the side branch reads, and of the last below LoRA."""
        h = [self.embed(pixels)]
        for layer in self.layers[:self.first - 1]:
            h.append(layer(h[-1]))
        return h[:FUSED], h[-1]

    def rest(self, h):
        for layer in self.layers[self.first - 1:]:
            h = layer(h)
        return h

    def forward(self, pixels):
        return self.rest(self.frozen(pixels)[1])


class SideBranch(nn.Module):
    def __init__(self, width=240, heads=6, depth=8):
        super().__init__()
        self.patches = nn.Conv2d(3, width, PATCH, PATCH)
        self.positions = nn.Parameter(torch.randn(GRID * GRID, width) / 50)
        self.fusions = nn.ModuleList(nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, width)) for _ in range(FUSED))
        self.layers = nn.ModuleList(Layer(width, heads, F.gelu) for _ in range(depth))

    def forward(self, pixels, features):
        v = self.patches(pixels).flatten(2).transpose(1, 2)
        for i, layer in enumerate(self.layers):
            v = v + self.positions
            if i < FUSED:
                v = v + self.fusions[i](features[i][:, 1:])
            v = layer(v)
        return v


def convolution(inputs, outputs, kernel, *after):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(outputs), *after)


class Lattice(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.side = Encoder(with_lora=True), SideBranch()
        self.maps = nn.Sequential(convolution(240, 240, 3, nn.ReLU()), convolution(240, CLASSES, 1, nn.ReLU()))
        self.alpha, self.vote = convolution(CLASSES, 1, 3, nn.Sigmoid()), nn.Conv2d(CLASSES, CLASSES, 1)
        self.perception = nn.Sequential(
            convolution(WIDTH, 256, 3, nn.ReLU(), nn.MaxPool2d(2)), convolution(256, 128, 3, nn.ReLU(), nn.MaxPool2d(2)),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, CLASSES))

    def freeze_for_ones(self):
        for part in (self.side, self.maps, self.alpha, self.vote):
            part.requires_grad_(False).eval()

    def forward(self, pixels, cached=None, ones=False):
        if cached is None:
            with torch.no_grad():
                cached = self.encoder.frozen(pixels)
        features, tail = cached
        h = square(self.encoder.rest(tail)[:, 1:])
        if ones:
            return [self.perception(h)]
        maps = self.maps(square(self.side(pixels, features)))
        return [self.perception(h * self.alpha(maps)), self.vote(maps).mean((2, 3))]


class Decoder(nn.Module):
    """F-CAM's: four stages of nearest x2 with a skip, two 3x3 convolutions each, two scores a pixel."""

    def __init__(self, widths=(256, 128, 64, 32)):
        super().__init__()
        inputs = (WIDTH,) + widths
        self.skips = nn.ModuleList(nn.Conv2d(WIDTH, w, 1, bias=False) for w in widths)
        self.stages = nn.ModuleList(
            nn.Sequential(convolution(i + w, w, 3, nn.ReLU(inplace=True)), convolution(w, w, 3, nn.ReLU(inplace=True)))
            for i, w in zip(inputs, widths))
        self.scores = nn.Conv2d(widths[-1], 2, 3, padding=1)

    def forward(self, h, features):
        for skip, stage, feature in zip(self.skips, self.stages, features):
            h = F.interpolate(h, scale_factor=2)
            h = stage(torch.cat([h, F.interpolate(skip(feature), size=h.shape[2:])], 1))
        return self.scores(h)


def training_step(work, batch, dtype):
    labels = torch.randint(0, CLASSES, (batch,))
    if work == "fcam":
        decoder, maps = Decoder(), [torch.randn(batch, WIDTH, GRID, GRID) for _ in range(5)]
        seeds = torch.full((batch, SIDE, SIDE), -1)
        seeds[:, 100:103, 100:103], seeds[:, 10:13, 10:13] = 1, 0
        optimizer = torch.optim.SGD(decoder.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=1e-4)

        def loss():
            scores = decoder(maps[0], maps[1:])
            areas = scores.softmax(1).sum((2, 3))
            barrier = torch.where(areas >= 1, -areas.log(), 1 - areas).mean()
            return F.cross_entropy(scores, seeds, ignore_index=-1) + 0.1 * barrier
    else:
        model, ones = Lattice(), work.endswith("ones")
        if ones:
            model.freeze_for_ones()
        pixels = torch.randn(batch, 3, SIDE, SIDE)
        token_shape = (batch, GRID * GRID + 1, WIDTH)
        cached = ([torch.randn(token_shape) for _ in range(FUSED)], torch.randn(token_shape))
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)

        def loss():
            with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
                logits = model(pixels, None if work.startswith("live") else cached, ones)
                parts = [F.cross_entropy(part, labels) for part in logits]
            return parts[0] + sum(parts[1:]) / 15

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        optimizer.step()

    return step


def inference_step(work, batch, dtype):
    model = (Encoder(with_lora=False) if work == "encode" else Lattice()).eval().to(dtype)
    pixels = torch.randn(batch, 3, SIDE, SIDE, dtype=dtype)

    @torch.inference_mode()
    def step():
        out = model(pixels)
        return out if work == "encode" else out[0].softmax(-1)

    return step


def openvino_step(batch, dtype, threads):
    import openvino

    pixels = torch.randn(batch, 3, SIDE, SIDE)
    with torch.no_grad():
        model = openvino.convert_model(
            Encoder(with_lora=False).eval(), example_input=pixels, input=[("pixels", list(pixels.shape))])
    compiled = openvino.Core().compile_model(model, "CPU", {
        "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32" if dtype == torch.float32 else "bf16"})
    request, array = compiled.create_infer_request(), pixels.numpy()
    return (lambda: request.infer({0: array})), f"OpenVINO {openvino.__version__.split('-')[0]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    inferences = ["encode", "perturb"]
    parser.add_argument(
        "work", choices=inferences + ["train-alpha", "train-ones", "live-alpha", "live-ones", "fcam"])
    parser.add_argument("--library", choices=["torch", "openvino"], default="torch")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    for name, usual in [("threads", 2), ("batch", 8), ("steps", 4), ("repeats", 3)]:
        parser.add_argument(f"--{name}", type=int, default=usual)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    dtype, library = getattr(torch, options.dtype), f"PyTorch {torch.__version__.split('+')[0]}"
    if options.library == "openvino":
        if options.work != "encode":
            parser.error("OpenVINO does the encoder alone")
        step, library = openvino_step(options.batch, dtype, options.threads)
    elif options.work in inferences:
        step = inference_step(options.work, options.batch, dtype)
    else:
        step = training_step(options.work, options.batch, dtype)
    step()
    best = float("inf")
    for _ in range(options.repeats):
        start = time.perf_counter()
        for _ in range(options.steps):
            step()
        best = min(best, (time.perf_counter() - start) / options.steps)
    print(json.dumps({
        "work": options.work, "dtype": options.dtype, "samples_per_s": options.batch / best, "library": library,
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))


if __name__ == "__main__":
    main()
