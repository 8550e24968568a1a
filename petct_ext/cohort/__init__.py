"""A folder of exams: index, preparation, splits, hand labels, exam quality."""
