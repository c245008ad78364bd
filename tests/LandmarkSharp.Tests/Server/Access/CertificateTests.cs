using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using LandmarkSharp.Server;
using LandmarkSharp.Server.Access;
using LandmarkSharp.Tests.Memory.Files;

namespace LandmarkSharp.Tests.Server.Access;

/// <summary>Certificates from their files, and servers that show them.</summary>
public sealed class CertificateTests : IClassFixture<ServedModel>, IDisposable
{
    private const string Password = "open";

    private readonly ServedModel model;
    private readonly TemporaryFolder folder = new();
    private readonly X509Certificate2 root, own;

    public CertificateTests(ServedModel model)
    {
        this.model = model;
        (root, own) = Make();
        using var key = own.GetECDsaPrivateKey()!;
        var chain = $"{own.ExportCertificatePem()}\n{root.ExportCertificatePem()}\n";
        folder.Write("chain.pem", chain);
        folder.Write("key.pem", key.ExportPkcs8PrivateKeyPem());
        folder.Write("all.pem", $"{key.ExportPkcs8PrivateKeyPem()}\n{chain}");
        folder.Write("locked.pem", key.ExportEncryptedPkcs8PrivateKeyPem(Password, new PbeParameters(PbeEncryptionAlgorithm.Aes256Cbc, HashAlgorithmName.SHA256, 1000)));
        folder.Write("all.pfx", own.Export(X509ContentType.Pkcs12)!);
        folder.Write("locked.pfx", own.Export(X509ContentType.Pkcs12, Password)!);
        folder.Write("keyless.pfx", root.Export(X509ContentType.Pkcs12)!);
        folder.Write("text.pfx", "no certificate");
    }

    [Theory]
    [InlineData("chain.pem", "key.pem", null)]
    [InlineData("all.pem", null, null)]
    [InlineData("chain.pem", "locked.pem", Password)]
    [InlineData("all.pfx", null, null)]
    [InlineData("locked.pfx", null, Password)]
    public async Task AServerShowsIt(string certificate, string? key, string? password)
    {
        await using var server = await model.Start(o =>
            (o.Certificate, o.CertificateKey, o.CertificatePassword) = (folder[certificate], key is null ? null : folder[key], password));
        Assert.Equal("https", server.Server.Address.Scheme);
        // Whoever trusts the root trusts the server, if it shows what stands between.
        using var handler = new SocketsHttpHandler();
        handler.SslOptions.CertificateChainPolicy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            CustomTrustStore = { root },
            RevocationMode = X509RevocationMode.NoCheck,
        };
        using var http = new HttpClient(handler);
        using var response = await http.GetAsync(new Uri($"https://localhost:{server.Server.Address.Port}/v1/models"));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        using var stranger = new HttpClient();
        await Assert.ThrowsAsync<HttpRequestException>(() => stranger.GetAsync(new Uri($"https://localhost:{server.Server.Address.Port}/healthz")));
    }

    [Theory]
    [InlineData("nowhere.pfx", null, null, "cannot be read")]
    [InlineData("nowhere.pem", null, null, "cannot be read")]
    [InlineData("text.pfx", null, null, "cannot be used")]
    [InlineData("chain.pem", null, null, "cannot be used")]
    [InlineData("chain.pem", "nowhere.key", null, "cannot be read")]
    [InlineData("chain.pem", "locked.pem", "shut", "cannot be used")]
    [InlineData("locked.pfx", null, null, "cannot be used")]
    [InlineData("keyless.pfx", null, null, "holds no private key")]
    [InlineData("all.pfx", "key.pem", null, "leave --certificate-key out")]
    public void WhatCannotBeUsedIsSaid(string certificate, string? key, string? password, string part) => Refusals.Says(
        () => ServerCertificate.Load(new ServerOptions
        {
            Certificate = folder[certificate],
            CertificateKey = key is null ? null : folder[key],
            CertificatePassword = password,
        }), part);

    public void Dispose()
    {
        root.Dispose();
        own.Dispose();
        folder.Dispose();
    }

    /// <summary>A root, and a certificate for localhost that it vouches for.</summary>
    private static (X509Certificate2 Root, X509Certificate2 Own) Make()
    {
        var (from, to) = (DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
        using var rootKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=root", rootKey, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        using var signing = request.CreateSelfSigned(from, to);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        request.CertificateExtensions.Add(names.Build());
        using var signed = request.Create(signing, from, to, [1, 2, 3]);
        return (X509CertificateLoader.LoadCertificate(signing.RawData), signed.CopyWithPrivateKey(key));
    }
}
