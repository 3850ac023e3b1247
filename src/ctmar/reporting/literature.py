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
        "loshchilov2019",
        "Loshchilov & Hutter 2019",
        "I. Loshchilov and F. Hutter. Decoupled weight decay regularization. ICLR 2019. arXiv:1711.05101.",
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
        "finzi2021",
        "Finzi et al. 2021",
        "M. Finzi, G. Benton and A. G. Wilson. Residual pathway priors for soft equivariance constraints. NeurIPS "
        "2021. arXiv:2112.01388.",
    ),
    Reference(
        "meyer2010",
        "Meyer et al. 2010",
        "E. Meyer, R. Raupach, M. Lell, B. Schmidt and M. Kachelrieß. Normalized metal artifact reduction (NMAR) in "
        "computed tomography. Medical Physics 37(10):5482–5493, 2010.",
    ),
    Reference(
        "wang2022acdnet",
        "Wang et al. 2022",
        "H. Wang, Y. Li, D. Meng and Y. Zheng. Adaptive convolutional dictionary network for CT metal artifact "
        "reduction. IJCAI 2022.",
    ),
    Reference(
        "wang2021dicdnet",
        "Wang et al. 2021",
        "H. Wang, Y. Li, N. He, K. Ma, D. Meng and Y. Zheng. DICDNet: deep interpretable convolutional dictionary "
        "network for metal artifact reduction in CT images. IEEE Transactions on Medical Imaging, 2021.",
    ),
    Reference(
        "wang2022oscnet",
        "Wang, Xie et al. 2022",
        "H. Wang, Q. Xie, Y. Li, Y. Huang, D. Meng and Y. Zheng. Orientation-shared convolution representation for CT "
        "metal artifact learning. MICCAI 2022.",
    ),
    Reference(
        "wang2023oscnet",
        "Wang et al. 2023",
        "H. Wang, Q. Xie, D. Zeng, J. Ma, D. Meng and Y. Zheng. OSCNet: orientation-shared convolutional network for "
        "CT metal artifact learning. IEEE Transactions on Medical Imaging, 2023.",
    ),
    Reference(
        "ronneberger2015",
        "Ronneberger et al. 2015",
        "O. Ronneberger, P. Fischer and T. Brox. U-Net: convolutional networks for biomedical image segmentation. "
        "MICCAI 2015. arXiv:1505.04597.",
    ),
    Reference(
        "kingma2015",
        "Kingma & Ba 2015",
        "D. P. Kingma and J. Ba. Adam: a method for stochastic optimization. ICLR 2015. arXiv:1412.6980.",
    ),
    Reference(
        "banerjee1960",
        "Banerjee 1960",
        "S. K. Banerjee. Approximate confidence interval for linear functions of means of k populations when the "
        "population variances are not equal. Sankhyā 22:357–358, 1960.",
    ),
    Reference(
        "gallas2003",
        "Gallas & Barrett 2003",
        "B. D. Gallas, H. H. Barrett. Validating the use of channels to estimate the ideal linear observer. Journal of "
        "the Optical Society of America A 20(9):1725–1738, 2003.",
    ),
    Reference(
        "obuchowski1997",
        "Obuchowski 1997",
        "N. A. Obuchowski. Nonparametric analysis of clustered ROC curve data. Biometrics 53(2):567–578, 1997.",
    ),
    Reference(
        "vaishnav2020",
        "Vaishnav et al. 2020",
        "J. Y. Vaishnav et al. CT metal artifact reduction algorithms: toward a framework for objective performance "
        "assessment. Medical Physics 47(8):3344–3355, 2020.",
    ),
    Reference(
        "schuirmann1987",
        "Schuirmann 1987",
        "D. J. Schuirmann. A comparison of the two one-sided tests procedure and the power approach for assessing the "
        "equivalence of average bioavailability. Journal of Pharmacokinetics and Biopharmaceutics 15:657–680, 1987.",
    ),
    Reference(
        "holm1979",
        "Holm 1979",
        "S. Holm. A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics "
        "6(2):65–70, 1979.",
    ),
    Reference(
        "ito2008",
        "Okabe & Ito 2008",
        "M. Okabe and K. Ito. Color universal design: how to make figures and presentations that are friendly to "
        "colorblind people, 2008.",
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
