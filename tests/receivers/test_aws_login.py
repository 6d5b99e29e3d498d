"""As whom we speak to AWS: where keys are looked for, in which order, and how a role is lent."""

import asyncio
import json
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.exceptions import DeliveryError
from trackside.server.receivers.aws_api import AwsApi
from trackside.server.receivers.aws_config import SigV4Config
from trackside.server.receivers.aws_login import AwsLogin, region_of
from trackside.server.receivers.aws_profiles import read_profiles
from trackside.server.receivers.clients import Clients
from trackside.server.receivers.http_config import HttpConfig
from trackside.server.receivers.sigv4 import Keys

NOW_MS = 1_700_000_000_000
CREDENTIALS = """
[default]
aws_access_key_id = AKDEFAULT
aws_secret_access_key = abc%secret
[team]
aws_access_key_id=AKTEAM
aws_secret_access_key=abc-secret
aws_session_token=token
"""
CONFIG = """
[default]
region = eu-west-1
s3 =
  addressing_style = path
[profile team]
region=eu-west-3
[profile lent]
role_arn=arn:role/one
source_profile=team
external_id=ext
[profile twice]
role_arn=arn:role/two
source_profile=lent
[profile itself]
aws_access_key_id=AKITSELF
aws_secret_access_key=abc-secret
role_arn=arn:role/three
source_profile=itself
[profile of-environment]
role_arn=arn:role/four
credential_source=Environment
[profile of-container]
role_arn=arn:role/five
credential_source=EcsContainer
[profile of-instance]
role_arn=arn:role/six
credential_source=Ec2InstanceMetadata
[profile of-identity]
role_arn=arn:role/seven
web_identity_token_file={folder}/token
[profile a]
role_arn=arn:role/a
source_profile=b
[profile b]
role_arn=arn:role/b
source_profile=a
[profile program]
credential_process=/bin/secrets
"""
LENT = (
    "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>{0}</AccessKeyId>"
    "<SecretAccessKey>lent&amp;secret</SecretAccessKey><SessionToken> lent-token </SessionToken>"
    "</Credentials></AssumeRoleResult></AssumeRoleResponse>"
)
MACHINE = json.dumps({"Code": "Success", "AccessKeyId": "AKMACHINE", "SecretAccessKey": "s", "Token": "t"})
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "AKENV", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}
OWN = {"access_key": "AKOWN", "secret_key": "s"}


@pytest.fixture
def files(tmp_path):
    (tmp_path / "credentials").write_text(CREDENTIALS)
    (tmp_path / "config").write_text(CONFIG.replace("{folder}", str(tmp_path)))
    (tmp_path / "token").write_text("cluster-token\n")
    return {"AWS_SHARED_CREDENTIALS_FILE": f"{tmp_path}/credentials", "AWS_CONFIG_FILE": f"{tmp_path}/config"}


@pytest.fixture
def log_in(server, answer, tmp_path):
    """The keys that are found, and what was asked for them; "{url}" in the environment is where it is asked."""

    def run(section, environment=None, answers=(), region="us-east-2"):
        made = [one if isinstance(one, bytes) else answer(200, body=one) for one in (*answers, "")]
        fake = server(made[-1], made[:-1])
        surroundings = {"HOME": f"{tmp_path}/nobody", "AWS_EC2_METADATA_DISABLED": "true", **(environment or {})}
        result = []

        async def story():
            listening = await asyncio.start_server(fake.handle, "127.0.0.1", 0)
            url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
            given = {"AWS_ENDPOINT_URL_STS": url, **surroundings}
            given = {name: value.replace("{url}", url) for name, value in given.items()}
            clients = Clients()
            api = AwsApi(HttpConfig(), given, NOW_MS, clients.get)
            try:
                result.append(await AwsLogin(SigV4Config.model_validate(section), region, api).keys())
            finally:
                await clients.close()
                listening.close()

        try:
            asyncio.run(story())
        finally:
            run.asked = [
                (line.rsplit(" ", 1)[0], headers, dict(parse_qsl(body)) if isinstance(body, str) else body)
                for line, headers, body in fake.requests
            ]
        return result[0]

    return run


CHAIN = [
    pytest.param({**OWN, "profile": "team"}, ENVIRONMENT, "AKOWN", id="the section says keys"),
    pytest.param({"profile": "team"}, ENVIRONMENT, "AKTEAM", id="the section names a profile"),
    pytest.param({}, {**ENVIRONMENT, "AWS_PROFILE": "team"}, "AKENV", id="the environment says keys"),
    pytest.param({}, {"AWS_PROFILE": "team"}, "AKTEAM", id="the environment names a profile"),
    pytest.param({}, {"AWS_ACCESS_KEY_ID": "half"}, "AKDEFAULT", id="the environment says half of them"),
    pytest.param({}, {}, "AKDEFAULT", id="the usual profile"),
]


@pytest.mark.parametrize(("section", "environment", "expected"), CHAIN)
def test_where_keys_are_looked_for(log_in, files, section, environment, expected):
    assert log_in(section, {**files, **environment}).access_key == expected
    assert log_in.asked == []


def test_all_parts_of_the_keys(log_in, files):
    assert log_in({}, files) == Keys("AKDEFAULT", "abc%secret", "")
    assert log_in({"profile": "team"}, files) == Keys("AKTEAM", "abc-secret", "token")
    assert log_in({}, ENVIRONMENT) == Keys("AKENV", "s", "t")


def test_files_are_looked_for_at_home(log_in, tmp_path):
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(CREDENTIALS)
    assert log_in({}, {"HOME": str(tmp_path)}).access_key == "AKDEFAULT"


def test_a_role_is_lent(log_in):
    section = {**OWN, "role_arn": "arn:role/x", "external_id": "e x"}
    assert log_in(section, answers=[LENT.format("ASIA")]) == Keys("ASIA", "lent&secret", "lent-token")
    ((line, headers, form),) = log_in.asked
    assert line == "POST /"
    assert "Credential=AKOWN/20231114/us-east-2/sts/aws4_request" in headers["authorization"]
    assert form == {
        "Action": "AssumeRole",
        "Version": "2011-06-15",
        "RoleArn": "arn:role/x",
        "RoleSessionName": "trackside",
        "DurationSeconds": "900",
        "ExternalId": "e x",
    }


@pytest.mark.parametrize(
    ("profile", "environment", "signers", "roles"),
    [
        pytest.param("lent", {}, ["AKTEAM"], ["arn:role/one"], id="of a profile"),
        pytest.param("twice", {}, ["AKTEAM", "ASIA1"], ["arn:role/one", "arn:role/two"], id="of a profile with a role"),
        pytest.param("itself", {}, ["AKITSELF"], ["arn:role/three"], id="of itself"),
        pytest.param("of-environment", ENVIRONMENT, ["AKENV"], ["arn:role/four"], id="of the environment"),
        pytest.param("of-identity", {}, [""], ["arn:role/seven"], id="of a cluster"),
    ],
)
def test_roles_of_profiles(log_in, files, profile, environment, signers, roles):
    answers = [LENT.format(f"ASIA{place}") for place in (1, 2, 3)]
    assert log_in({"profile": profile}, {**files, **environment}, answers).access_key == f"ASIA{len(roles)}"
    signed_by = [headers.get("authorization", "").partition("Credential=")[2] for _, headers, _ in log_in.asked]
    assert [one.partition("/")[0] for one in signed_by] == signers
    assert [form["RoleArn"] for _, _, form in log_in.asked] == roles


def test_a_cluster_vouches_for_us(log_in, tmp_path):
    (tmp_path / "token").write_text("cluster-token\n")
    environment = {"AWS_WEB_IDENTITY_TOKEN_FILE": f"{tmp_path}/token", "AWS_ROLE_ARN": "arn:role/pod"}
    assert log_in({}, environment, [LENT.format("ASIA")]).access_key == "ASIA"
    ((_, headers, form),) = log_in.asked
    assert "authorization" not in headers
    assert (form["Action"], form["WebIdentityToken"], form["RoleArn"]) == (
        "AssumeRoleWithWebIdentity",
        "cluster-token",
        "arn:role/pod",
    )


@pytest.mark.parametrize("section", [{}, {"profile": "of-container"}], ids=["usual", "profile"])
def test_a_container_is_asked(log_in, files, tmp_path, section):
    (tmp_path / "pod").write_text("pod-token\n")
    environment = {**files, "AWS_CONTAINER_CREDENTIALS_FULL_URI": "{url}/v1/credentials"}
    environment |= {"AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": f"{tmp_path}/pod"}
    if not section:
        environment["AWS_SHARED_CREDENTIALS_FILE"] = "/nowhere"
    log_in(section, environment, [MACHINE, LENT.format("ASIA")])
    line, headers, _ = log_in.asked[0]
    assert (line, headers["authorization"]) == ("GET /v1/credentials", "pod-token")


@pytest.mark.parametrize("section", [{}, {"profile": "of-instance"}], ids=["usual", "profile"])
def test_an_instance_is_asked(log_in, files, section):
    environment = {"AWS_EC2_METADATA_DISABLED": "false", "AWS_EC2_METADATA_SERVICE_ENDPOINT": "{url}"}
    environment |= files if section else {}
    keys = log_in(section, environment, ["session", "the-role\n", MACHINE, LENT.format("ASIA")])
    assert keys.access_key == ("ASIA" if section else "AKMACHINE")
    lines = ["PUT /latest/api/token", "GET /latest/meta-data/iam/security-credentials/"]
    assert [line for line, _, _ in log_in.asked[:3]] == [*lines, f"{lines[1]}the-role"]
    assert [headers.get("x-aws-ec2-metadata-token") for _, headers, _ in log_in.asked[:3]] == [
        None,
        "session",
        "session",
    ]


@pytest.mark.parametrize("told", ["", "no", "null", "[]", "{}", '{"AccessKeyId": 1}', '{"AccessKeyId": "a"}'])
def test_a_machine_without_keys_for_us(log_in, told):
    with pytest.raises(DeliveryError, match="no keys for us") as raised:
        log_in({}, {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "{url}/v1"}, [told])
    assert raised.value.retry


@pytest.mark.parametrize("answers", [["", ""], ["session", ""]])
def test_an_instance_without_a_role(log_in, answers):
    environment = {"AWS_EC2_METADATA_DISABLED": "", "AWS_EC2_METADATA_SERVICE_ENDPOINT": "{url}"}
    with pytest.raises(DeliveryError, match="no keys of AWS"):
        log_in({}, environment, answers)


def test_a_machine_that_is_none_of_amazons(log_in, unused_port):
    address = f"http://127.0.0.1:{unused_port}"
    environment = {"AWS_EC2_METADATA_DISABLED": "", "AWS_EC2_METADATA_SERVICE_ENDPOINT": address}
    with pytest.raises(DeliveryError, match="no keys of AWS"):
        log_in({}, environment)


@pytest.mark.parametrize(
    ("section", "expected", "retry"),
    [
        ({}, "no keys of AWS, neither here nor in AWS_ACCESS_KEY_ID", True),
        ({"profile": "nosuch"}, "hold no profile 'nosuch'", True),
        ({"profile": "program"}, "'program' holds no keys: programs and single sign-on are not asked", True),
        ({"profile": "a"}, "too many profiles take their keys from others", False),
        ({"profile": "of-environment"}, "'of-environment' holds no keys", True),
    ],
)
def test_no_keys(log_in, files, section, expected, retry):
    with pytest.raises(DeliveryError, match=expected) as raised:
        log_in(section, files if section else {})
    assert raised.value.retry is retry


@pytest.mark.parametrize("told", ["", "<html>", "<AccessKeyId>A</AccessKeyId>", "<AccessKeyId></AccessKeyId>", "\x00"])
def test_a_role_without_its_keys(log_in, told):
    with pytest.raises(DeliveryError, match="lent a role without its keys") as raised:
        log_in({**OWN, "role_arn": "r"}, answers=[told])
    assert raised.value.retry


@pytest.mark.parametrize(("code", "retry"), [(400, False), (403, False), (429, True), (500, True)])
def test_a_role_that_is_refused(log_in, answer, code, retry):
    body = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you</Message></Error></ErrorResponse>"
    with pytest.raises(DeliveryError, match=f"answered {code} Reason: AccessDenied: not you") as raised:
        log_in({**OWN, "role_arn": "r"}, answers=[answer(code, body=body)])
    assert raised.value.retry is retry


@pytest.mark.parametrize(
    ("section", "environment", "arn", "expected"),
    [
        ({"region": "us-east-2"}, {"AWS_REGION": "eu-north-1"}, "", "us-east-2"),
        ({}, {"AWS_REGION": "eu-north-1", "AWS_DEFAULT_REGION": "eu-north-2"}, "", "eu-north-1"),
        ({}, {"AWS_DEFAULT_REGION": "eu-north-2"}, "", "eu-north-2"),
        ({"profile": "team"}, {}, "", "eu-west-3"),
        ({}, {"AWS_PROFILE": "team"}, "", "eu-west-3"),
        ({}, {}, "arn:aws:sns:us-west-2:1:topic", "eu-west-1"),
        ({"profile": "lent"}, {}, "arn:aws:sns:us-west-2:1:topic", "us-west-2"),
    ],
)
def test_regions(files, section, environment, arn, expected):
    api = AwsApi(HttpConfig(), {**files, **environment}, NOW_MS, Clients().get)
    assert asyncio.run(region_of(SigV4Config.model_validate(section), api, arn)) == expected


@pytest.mark.parametrize("arn", ["", "+1555", "arn:aws:sns", "arn:aws:sns:evil.example/:1:t", "arn:aws:sns:a@b:1:t"])
def test_a_region_is_said_nowhere(arn):
    api = AwsApi(HttpConfig(), {"HOME": "/nowhere"}, NOW_MS, Clients().get)
    with pytest.raises(DeliveryError, match="expected a region"):
        asyncio.run(region_of(SigV4Config(), api, arn))


@pytest.mark.parametrize(
    ("environment", "region", "variant", "expected"),
    [
        ({}, "us-east-2", "", "https://sts.us-east-2.amazonaws.com/"),
        ({}, "us-east-2", "-fips", "https://sts-fips.us-east-2.amazonaws.com/"),
        ({}, "cn-north-1", "", "https://sts.cn-north-1.amazonaws.com.cn/"),
        ({"AWS_ENDPOINT_URL": "http://all"}, "r", "", "http://all"),
        ({"AWS_ENDPOINT_URL": "http://all", "AWS_ENDPOINT_URL_STS": "http://sts"}, "r", "", "http://sts"),
    ],
)
def test_endpoints(environment, region, variant, expected):
    assert AwsApi(HttpConfig(), environment, NOW_MS, Clients().get).endpoint("sts", region, variant) == expected


def profiles_of(path):
    return asyncio.run(read_profiles({"AWS_SHARED_CREDENTIALS_FILE": str(path), "AWS_CONFIG_FILE": "/nowhere"}))


@pytest.mark.parametrize("text", ["abc-secret", "[a\nabc-secret", "[a]\n = abc-secret", "[a]\n\n  abc-secret: x\n[b"])
def test_a_file_that_is_none_of_profiles_does_not_show_what_it_holds(tmp_path, text):
    path = tmp_path / "credentials"
    path.write_text(text)
    try:
        profiles_of(path)
    except DeliveryError as error:
        assert "not a file of AWS profiles" in error.reason
        assert "abc-secret" not in f"{error}{error.__cause__}{error.__suppress_context__ or error.__context__}"


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(DeliveryError, match="Is a directory") as raised:
        profiles_of(tmp_path)
    assert raised.value.retry


@given(st.binary(max_size=60))
def test_any_file_has_profiles_or_is_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("aws") / "credentials"
    path.write_bytes(content)
    try:
        profiles_of(path)
    except DeliveryError as error:
        assert error.reason
