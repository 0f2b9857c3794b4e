from airflow_copernicus.hooks import CopernicusHook

table = CopernicusHook().search_frame(area="lake", first_day="2024-08-01", max_cloud_cover=20)
