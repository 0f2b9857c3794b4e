import copernicus_dataspace
from copernicus_dataspace_emulator import Emulator, Fault, make_product


def test_a_busy_service_is_asked_again(tmp_path):
    with Emulator() as emulator:
        emulator.add(make_product(tile="36TXL", sensed="2024-08-01T08:36:01.024Z", scale=0.003))
        emulator.faults.add(Fault("download", status=503, times=1))
        account = emulator.connection()
        with copernicus_dataspace.Client(
            account["login"], account["password"], **account["extra"]
        ) as client:
            products = client.search(tiles=["36TXL"], first_day="2024-08-01")
            (item,) = client.download(products, bands=["SCL_20m"], to=tmp_path)
    assert item.properties["grid:code"] == "MGRS-36TXL"
