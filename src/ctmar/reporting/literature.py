"""What the report cites; addresses are written as text, because the page never leads into a network."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reference:
    """A cited work: key of its anchor, how the text names it, and the full reference."""

    key: str
    short: str
    full: str


REFERENCES = (
    Reference(
        "berndt2026",
        "Berndt & Stühmer 2026",
        "Berndt and Stühmer. Approximate equivariance via projection-based regularisation. ICML 2026, PMLR 306. "
        "arXiv:2601.05028.",
    ),
    Reference(
        "bai2025",
        "Bai et al. 2025",
        "Y. Bai, J. Fu, Q. Xie and D. Meng. A regularization-guided equivariant approach for image restoration "
        "(EQ-Reg). CVPR 2025. arXiv:2505.19799.",
    ),
    Reference(
        "elesedy2021",
        "Elesedy & Zaidi 2021",
        "B. Elesedy and S. Zaidi. Provably strict generalisation benefit for equivariant models. ICML 2021, PMLR 139.",
    ),
    Reference(
        "kalender1987",
        "Kalender et al. 1987",
        "W. A. Kalender, R. Hebel and J. Ebersberger. Reduction of CT artifacts caused by metallic implants. "
        "Radiology 164(2):576–577, 1987.",
    ),
    Reference(
        "wang2004",
        "Wang et al. 2004",
        "Z. Wang, A. C. Bovik, H. R. Sheikh and E. P. Simoncelli. Image quality assessment: from error visibility to "
        "structural similarity. IEEE Transactions on Image Processing 13(4):600–612, 2004.",
    ),
    Reference(
        "zhang2017",
        "Zhang et al. 2017",
        "K. Zhang, W. Zuo, Y. Chen, D. Meng and L. Zhang. Beyond a Gaussian denoiser: residual learning of deep CNN "
        "for image denoising. IEEE Transactions on Image Processing 26(7):3142–3155, 2017.",
    ),
    Reference(
        "kingma2015",
        "Kingma & Ba 2015",
        "D. P. Kingma and J. Ba. Adam: a method for stochastic optimization. ICLR 2015. arXiv:1412.6980.",
    ),
    Reference(
        "davison1997",
        "Davison & Hinkley 1997",
        "A. C. Davison and D. V. Hinkley. Bootstrap methods and their application. Cambridge University Press, 1997.",
    ),
    Reference(
        "ito2008",
        "Okabe & Ito 2008",
        "M. Okabe and K. Ito. Color universal design: how to make figures and presentations that are friendly to "
        "colorblind people, 2008.",
    ),
)
