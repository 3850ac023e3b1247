# Lets `snakemake` run from the repository root. The workflow itself is workflow/Snakefile.
include: "workflow/Snakefile"


# an include drops the default target of the included file
workflow.default_target = "all"
