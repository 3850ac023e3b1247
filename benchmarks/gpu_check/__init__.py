"""A check of everything written for CUDA that fits in eight minutes, needs no network, and loses nothing to a failure.

    make gpu-bundle                                          # once, with a network: wheels and pairs in .gpu-bundle/
    python -m benchmarks.gpu_check                           # all parts on the GPU
    python -m benchmarks.gpu_check --device cpu --quick      # the same parts, small, on two cores
    python -m benchmarks.gpu_check --part b --trace          # one part, with a profile

Each part runs in a process of its own under a limit of its own and writes row after row; the result,
``benchmarks/results/gpu_check/result.json``, is written anew after every part. Every figure is a median with quartiles.
"""
