"""Files with a line for each thing: CSV, Excel workbooks, JSON and Parquet, read line by line."""
