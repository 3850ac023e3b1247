"""Reading CT from DICOM: the only room that knows a DICOM tag."""
