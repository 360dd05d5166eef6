"""What `marey bench` measured, as tables for people."""

from typing import Any

from ._printable import printable


def _show_head(document: dict[str, Any]) -> None:
    here = document["machine"]
    runtime = f"{document['backend']} {document['backend_version']}"
    print(printable(f"{document['model']} on {document['video']}"))
    print(
        f"backend {runtime}; torch {here['torch']}, {here['instructions']}, "
        f"threads: {here['threads']}"
    )


def show_stages(document: dict[str, Any]) -> None:
    """Print the stages of a prediction, each beside its limit."""
    _show_head(document)
    here = document["machine"]
    print(
        f"peak {here['gflops']:.1f} GFLOP/s, in a product of matrices "
        f"{here['gemm_gflops']:.1f} GFLOP/s; copy {here['gigabytes_per_second']:.1f} GB/s\n"
    )
    print(_STAGES_HEADER)
    for row in document["stages"]:
        frames, fastest, gemm = row["frames"], 1e3 * row["fastest_seconds"], row["share_of_gemm"]
        print(
            f"{row['stage']:10} {frames:7} {1e3 * row['seconds']:10.2f} {row['ms_a_frame']:10.3f} "
            f"{fastest / frames:10.3f} {row['frames_per_second']:10.1f} "
            f"{row['limit_frames_per_second']:10.1f} {row['share_of_limit']:6.1%} "
            f"{'-' if gemm is None else f'{gemm:.1%}':>6}"
        )


_STAGES_HEADER = (
    "stage       frames     in all    a frame    at best   frames/s      limit  share   GEMM\n"
    "                           ms         ms         ms              frames/s"
)


def show_gains(document: dict[str, Any]) -> None:
    """Print how long each stage takes in the originals' way and in ours."""
    _show_head(document)
    print(f"both ways answer alike, to {document['difference']:.1e} of the largest logit\n")
    print(_GAINS_HEADER)
    for row in document["gains"]:
        print(
            f"{row['look']:22} {row['stage']:16} {row['original_ms']:9.2f} {row['ours_ms']:9.2f} "
            f"{row['ratio']:7.2f} {row['lowest_ratio']:8.2f} {row['highest_ratio']:8.2f} "
            f"{row['turns']:6}"
        )


_GAINS_HEADER = (
    "look                   stage             original      ours   ratio   lowest  highest  turns\n"
    "                                               ms        ms"
)
