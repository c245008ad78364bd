using LandmarkSharp.Server;
using LandmarkSharp.Tests.Memory.Files;

namespace LandmarkSharp.Tests.Server;

/// <summary>Options from a file and the command line, and what is wrong with them.</summary>
public sealed class ServerConfigurationTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    [Fact]
    public void TheCommandLineComesBeforeTheFile()
    {
        folder.Write("appsettings.json", """{"Server":{"Port":9000,"Concurrency":7},"Logging":{}}""");
        var options = Read(("Port", "9001"));
        Assert.Equal((9001, 7, new ServerOptions().QueueLength), (options.Port, options.Concurrency, options.QueueLength));
    }

    [Theory]
    [InlineData(null, null, null)]
    [InlineData(null, "/data", "/data")]
    [InlineData("mine", "/data", "mine")]
    [InlineData("none", "/data", null)]
    public void MemoriesAreTheUsersUnlessSomethingElseIsSaid(string? given, string? users, string? memories) => Assert.Equal(
        memories, ServerConfiguration.Read(new Dictionary<string, string?> { ["Memories"] = given }.Where(g => g.Value is not null).ToDictionary(), folder.Path, null, users).Memories);

    [Theory]
    [InlineData("Port", "65536", "Port must be between 0 and 65535")]
    [InlineData("Concurrency", "0", "Concurrency must be between 1 and 256")]
    [InlineData("QueueLength", "-1", "QueueLength must be between")]
    [InlineData("QueueSeconds", "0", "QueueSeconds must be between 1 and 86400")]
    [InlineData("MaxLogprobs", "-1", "MaxLogprobs must be between 0")]
    [InlineData("MaxTraceReads", "-1", "MaxTraceReads must be between 0")]
    [InlineData("MemoryOpenBytes", "-1", "MemoryOpenBytes must be between 0")]
    [InlineData("MaxPromptTokens", "0", "MaxPromptTokens must be between 1")]
    [InlineData("MaxAnswerTokens", "0", "MaxAnswerTokens must be between 1")]
    [InlineData("MaxBodyBytes", "7", "MaxBodyBytes must be between 1024 and 1099511627776")]
    [InlineData("CacheBytes", "-1", "CacheBytes must be between 0 and 562949953421312")]
    [InlineData("GraceSeconds", "1000", "GraceSeconds must be between 0 and 600")]
    [InlineData("Address", "0.0.0.0", "there are no keys to tell who may ask")]
    [InlineData("Address", "::", "there are no keys to tell who may ask")]
    [InlineData("Address", "example.org", "none to listen on")]
    [InlineData("Keys", "nowhere.json", "There is no key file nowhere.json")]
    [InlineData("TokensADay", "5", "A day's tokens are counted by keys")]
    [InlineData("TokensADay", "0", "TokensADay must be between 1")]
    [InlineData("Hosts:0", "example.org:80", "'example.org:80' is no host's name")]
    [InlineData("Hosts:0", "http://example.org", "is no host's name")]
    [InlineData("CertificateKey", "a.key", "no certificate; give one by --certificate")]
    [InlineData("Certificate", "nowhere.pem", "nowhere.pem cannot be read")]
    [InlineData("Port", "many", "cannot be read")]
    [InlineData("Prot", "80", "cannot be read")]
    public void WhatMakesNoSenseIsSaid(string name, string value, string part) => Refusals.Says(() => Read((name, value)), part);

    [Fact]
    public void AFileThatIsNoJsonIsNamed()
    {
        folder.Write("appsettings.json", "{");
        Refusals.Says(() => Read(), "appsettings.json");
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    [InlineData("localhost")]
    public void ThisMachinesAddressesAreTaken(string address) => Assert.Equal(address, Read(("Address", address)).Address);

    public void Dispose() => folder.Dispose();

    private ServerOptions Read(params (string Name, string Value)[] given) =>
        ServerConfiguration.Read(given.ToDictionary(g => g.Name, g => (string?)g.Value), folder.Path);
}
