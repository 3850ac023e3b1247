"""What the report cites, each work once: as text on the page, as BibTeX for a paper.

Addresses are written as text, because the page never leads into a network.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reference:
    """A cited work.

    Args:
        key: of its anchor and of its BibTeX entry.
        short: how the text names it.
        authors: each "J. Doe", in order.
        title: without a full stop.
        kind: of the BibTeX entry: article, inproceedings or misc.
        venue: journal, conference, or how it was published.
        year: of publication.
        volume: of the journal or series, with its number in brackets.
        pages: first and last.
        series: of the proceedings, where a volume counts there.
        arxiv: identifier.
        others: whether there are more authors than named.
    """

    key: str
    short: str
    authors: tuple[str, ...]
    title: str
    kind: str
    venue: str
    year: int
    volume: str = ""
    pages: str = ""
    series: str = ""
    arxiv: str = ""
    others: bool = False

    @property
    def full(self) -> str:
        """The reference as a list of references has it.

        Examples:
            >>> REFERENCES[0].full.partition(". ")[2]
            'Approximate equivariance via projection-based regularisation. ICML 2026, PMLR 306. arXiv:2601.05028.'
        """
        names = f"{', '.join(self.authors)} et al" if self.others else _joined(self.authors)
        where = f"{self.venue} {self.volume}" if self.kind == "article" and self.volume else self.venue
        where += f":{self.pages}" if self.pages else ""
        where += f" {self.year}" if self.kind == "inproceedings" else f", {self.year}"
        where += f", {self.series} {self.volume}" if self.series else ""
        end = f" arXiv:{self.arxiv}." if self.arxiv else ""
        return f"{names}. {self.title}{'. ' if self.venue else ''}{where}.{end}"


def _joined(names: tuple[str, ...]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


REFERENCES = (
    Reference(
        "berndt2026",
        "Berndt & Stühmer 2026",
        ("Berndt", "Stühmer"),
        "Approximate equivariance via projection-based regularisation",
        "inproceedings",
        "ICML",
        2026,
        volume="306",
        series="PMLR",
        arxiv="2601.05028",
    ),
    Reference(
        "bai2025",
        "Bai et al. 2025",
        ("Y. Bai", "J. Fu", "Q. Xie", "D. Meng"),
        "A regularization-guided equivariant approach for image restoration (EQ-Reg)",
        "inproceedings",
        "CVPR",
        2025,
        arxiv="2505.19799",
    ),
    Reference(
        "elesedy2021",
        "Elesedy & Zaidi 2021",
        ("B. Elesedy", "S. Zaidi"),
        "Provably strict generalisation benefit for equivariant models",
        "inproceedings",
        "ICML",
        2021,
        volume="139",
        series="PMLR",
    ),
    Reference(
        "loshchilov2019",
        "Loshchilov & Hutter 2019",
        ("I. Loshchilov", "F. Hutter"),
        "Decoupled weight decay regularization",
        "inproceedings",
        "ICLR",
        2019,
        arxiv="1711.05101",
    ),
    Reference(
        "kalender1987",
        "Kalender et al. 1987",
        ("W. A. Kalender", "R. Hebel", "J. Ebersberger"),
        "Reduction of CT artifacts caused by metallic implants",
        "article",
        "Radiology",
        1987,
        volume="164(2)",
        pages="576–577",
    ),
    Reference(
        "wang2004",
        "Wang et al. 2004",
        ("Z. Wang", "A. C. Bovik", "H. R. Sheikh", "E. P. Simoncelli"),
        "Image quality assessment: from error visibility to structural similarity",
        "article",
        "IEEE Transactions on Image Processing",
        2004,
        volume="13(4)",
        pages="600–612",
    ),
    Reference(
        "zhang2017",
        "Zhang et al. 2017",
        ("K. Zhang", "W. Zuo", "Y. Chen", "D. Meng", "L. Zhang"),
        "Beyond a Gaussian denoiser: residual learning of deep CNN for image denoising",
        "article",
        "IEEE Transactions on Image Processing",
        2017,
        volume="26(7)",
        pages="3142–3155",
    ),
    Reference(
        "finzi2021",
        "Finzi et al. 2021",
        ("M. Finzi", "G. Benton", "A. G. Wilson"),
        "Residual pathway priors for soft equivariance constraints",
        "inproceedings",
        "NeurIPS",
        2021,
        arxiv="2112.01388",
    ),
    Reference(
        "meyer2010",
        "Meyer et al. 2010",
        ("E. Meyer", "R. Raupach", "M. Lell", "B. Schmidt", "M. Kachelrieß"),
        "Normalized metal artifact reduction (NMAR) in computed tomography",
        "article",
        "Medical Physics",
        2010,
        volume="37(10)",
        pages="5482–5493",
    ),
    Reference(
        "wang2022acdnet",
        "Wang et al. 2022",
        ("H. Wang", "Y. Li", "D. Meng", "Y. Zheng"),
        "Adaptive convolutional dictionary network for CT metal artifact reduction",
        "inproceedings",
        "IJCAI",
        2022,
    ),
    Reference(
        "wang2021dicdnet",
        "Wang et al. 2021",
        ("H. Wang", "Y. Li", "N. He", "K. Ma", "D. Meng", "Y. Zheng"),
        "DICDNet: deep interpretable convolutional dictionary network for metal artifact reduction in CT images",
        "article",
        "IEEE Transactions on Medical Imaging",
        2021,
    ),
    Reference(
        "wang2022oscnet",
        "Wang, Xie et al. 2022",
        ("H. Wang", "Q. Xie", "Y. Li", "Y. Huang", "D. Meng", "Y. Zheng"),
        "Orientation-shared convolution representation for CT metal artifact learning",
        "inproceedings",
        "MICCAI",
        2022,
    ),
    Reference(
        "wang2023oscnet",
        "Wang et al. 2023",
        ("H. Wang", "Q. Xie", "D. Zeng", "J. Ma", "D. Meng", "Y. Zheng"),
        "OSCNet: orientation-shared convolutional network for CT metal artifact learning",
        "article",
        "IEEE Transactions on Medical Imaging",
        2023,
    ),
    Reference(
        "ronneberger2015",
        "Ronneberger et al. 2015",
        ("O. Ronneberger", "P. Fischer", "T. Brox"),
        "U-Net: convolutional networks for biomedical image segmentation",
        "inproceedings",
        "MICCAI",
        2015,
        arxiv="1505.04597",
    ),
    Reference(
        "kingma2015",
        "Kingma & Ba 2015",
        ("D. P. Kingma", "J. Ba"),
        "Adam: a method for stochastic optimization",
        "inproceedings",
        "ICLR",
        2015,
        arxiv="1412.6980",
    ),
    Reference(
        "banerjee1960",
        "Banerjee 1960",
        ("S. K. Banerjee",),
        "Approximate confidence interval for linear functions of means of k populations when the population variances"
        " are not equal",
        "article",
        "Sankhyā",
        1960,
        volume="22",
        pages="357–358",
    ),
    Reference(
        "gallas2003",
        "Gallas & Barrett 2003",
        ("B. D. Gallas", "H. H. Barrett"),
        "Validating the use of channels to estimate the ideal linear observer",
        "article",
        "Journal of the Optical Society of America A",
        2003,
        volume="20(9)",
        pages="1725–1738",
    ),
    Reference(
        "obuchowski1997",
        "Obuchowski 1997",
        ("N. A. Obuchowski",),
        "Nonparametric analysis of clustered ROC curve data",
        "article",
        "Biometrics",
        1997,
        volume="53(2)",
        pages="567–578",
    ),
    Reference(
        "vaishnav2020",
        "Vaishnav et al. 2020",
        ("J. Y. Vaishnav",),
        "CT metal artifact reduction algorithms: toward a framework for objective performance assessment",
        "article",
        "Medical Physics",
        2020,
        volume="47(8)",
        pages="3344–3355",
        others=True,
    ),
    Reference(
        "schuirmann1987",
        "Schuirmann 1987",
        ("D. J. Schuirmann",),
        "A comparison of the two one-sided tests procedure and the power approach for assessing the equivalence of"
        " average bioavailability",
        "article",
        "Journal of Pharmacokinetics and Biopharmaceutics",
        1987,
        volume="15",
        pages="657–680",
    ),
    Reference(
        "holm1979",
        "Holm 1979",
        ("S. Holm",),
        "A simple sequentially rejective multiple test procedure",
        "article",
        "Scandinavian Journal of Statistics",
        1979,
        volume="6(2)",
        pages="65–70",
    ),
    Reference(
        "ito2008",
        "Okabe & Ito 2008",
        ("M. Okabe", "K. Ito"),
        "Color universal design: how to make figures and presentations that are friendly to colorblind people",
        "misc",
        "",
        2008,
    ),
)

ARCHITECTURES = {  # of `ctmar.models`, with the key of the paper each is written from
    "dncnn": "zhang2017",
    "unet": "ronneberger2015",
    "acdnet": "wang2022acdnet",
    "dicdnet": "wang2021dicdnet",
    "oscnet": "wang2022oscnet",
    "oscnetplus": "wang2023oscnet",
}
